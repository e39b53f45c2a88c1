"""The composition root: the only place that knows a real clock, and that puts one repository's parts together.

Without the protocol: a person's command needs the services and no MCP, whose import is most of a second.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from .services import Services
from .store import StoreMissing

ARTIFACTS_FOLDER = "artifacts.git"
TARGET = "target"


def system_clock() -> datetime:
    """The real time, aware UTC."""
    return datetime.now(UTC)


def open_services(common_dir: Path, *, clock: Callable[[], datetime] = system_clock) -> Services:
    """Put one repository's services together. Blocking: imports the database library and git's.

    Raises `StoreMissing` when `gatewright init` has not been run here, `StoreUnusable`, `StoreUnavailable` and
    `RepositoryProblem`, each with a sentence.
    """
    from ..gates.artifacts import ArtifactStore
    from ..gates.repository import open_repository
    from ..gates.workspaces import Workspaces
    from ..gates.worktrees.moved import follow_move
    from .leases import Leases
    from .policies import Policies
    from .store import open_store

    repository = open_repository(common_dir)
    store = open_store(repository.state_dir, create=False)
    target = store.read(lambda tx: tx.meta_get(TARGET))
    if target is None:
        raise StoreMissing("The trusted branch was never recorded here; run `gatewright init` in the repository.")
    artifacts = ArtifactStore(repository.state_dir / ARTIFACTS_FOLDER, repository.common_dir)
    artifacts.ensure()
    workspaces = Workspaces(repository)
    follow_move(repository.common_dir, workspaces.root)
    return Services(
        store=store,
        repository=repository,
        artifacts=artifacts,
        workspaces=workspaces,
        policies=Policies(repository, artifacts, target),
        leases=Leases(store.secret),
        clock=clock,
        cache=cache_folder(repository.common_dir, os.environ),
    )


def cache_folder(common_dir: Path, environment: Mapping[str, str]) -> Path:
    """Where one repository's environments and checkouts lie.

    Outside of it, so that no tool mistakes them for its files. Named without links on the way, behind which a sandbox
    could mount nothing.
    """
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    name = hashlib.sha256(os.fsencode(common_dir)).hexdigest()[:16]
    return Path(home).resolve() / "gatewright" / name
