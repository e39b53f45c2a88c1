"""The programs that others publish, in the versions that the figures are about, in a cache folder of the person's own.

Nothing of them is part of gatewright. A package that cannot be had is told as such, with the reason.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

INSTALL_TIMEOUT_S = 240.0
FREE_BYTES_MIN = 2 * 2**30


class Unavailable(Exception):
    """A program that cannot be had; `str()` says why."""


@dataclass(frozen=True)
class Pip:
    """A package of PyPI in an environment of its own."""

    name: str
    version: str

    def fetch(self) -> Path:
        """The folder of its programs, installed there unless it is."""
        folder = cache() / f"{self.name}-{self.version}"
        if not (folder / "whole").exists():
            _begin(folder)
            _run([sys.executable, "-m", "venv", str(folder)], folder)
            install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary=:all:"]
            _run([str(folder / "bin" / "python"), *install, f"{self.name}=={self.version}"], folder)
            (folder / "whole").touch()
        return folder / "bin"


@dataclass(frozen=True)
class Npm:
    """A package of npm in a folder of its own; no script of it or of what it needs is run on installation."""

    name: str
    version: str

    def fetch(self) -> Path:
        """The folder of its programs, installed there unless it is."""
        folder = cache() / f"{self.name.rpartition('/')[2]}-{self.version}"
        if not (folder / "whole").exists():
            npm = shutil.which("npm")
            if npm is None:
                raise Unavailable("npm is not installed")
            _begin(folder)
            (folder / "package.json").write_text(json.dumps({"private": True}))
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"]
            _run([npm, "install", *options, f"{self.name}@{self.version}"], folder)
            (folder / "whole").touch()
        return folder / "node_modules" / ".bin"


def cache() -> Path:
    """Where they lie: outside of any repository."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "gatewright-bench"


def bare_environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """What such a program sees: where programs are, a home of its own, and nothing of the person's."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **more}


def _begin(folder: Path) -> None:
    """An empty folder, in place of what an interrupted installation left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if shutil.disk_usage(folder).free < FREE_BYTES_MIN:
        raise Unavailable("the disk is nearly full")


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"its installation took more than {INSTALL_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        raise Unavailable(f"its installation failed: {done.stderr.strip()[-200:]}")
