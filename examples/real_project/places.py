"""Where downloads, environments and scratch repositories lie, and that one run at a time uses them."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from processes import clean_environment
from project import Project

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "real_project"
SOURCES = CACHE / "sources"


def scratch_of(project: Project) -> Path:
    """Always the same folder for one project: environments are cached by repository."""
    return CACHE / "scratch" / project.name


def environment() -> dict[str, str]:
    """What gatewright's programs are started with; the environments that it makes are kept."""
    return {**clean_environment(), "XDG_CACHE_HOME": str(CACHE / "cache")}


@contextmanager
def alone() -> Generator[None]:
    """One run at a time: the folders have fixed names."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
