"""The composition root: the only place that knows a real clock, and that puts one repository's parts together.

Without the protocol: a person's command needs the services and no MCP, whose import is most of a second.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .services import Services
from .store import StoreClosed, StoreMissing, StoreUnavailable
from .telemetry.cleaning import remember_secrets_of

if TYPE_CHECKING:
    from ..gates.remote.remote import Remote
    from .store import Store
    from .store.tx import Tx

ARTIFACTS_FOLDER = "artifacts.git"
# In the state folder of a replica of a team's server.
MIRROR_FOLDER = "repository.git"
CACHE_FOLDER = "cache"
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
    from .operations.worktrees import Worktrees
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
        places=Worktrees(),
        policies=Policies(repository, artifacts, target),
        leases=Leases(store.secret),
        clock=clock,
        cache=cache_folder(repository.common_dir, os.environ),
    )


def open_team_services(
    store: "Store", remote_url: str, state_dir: Path, clock: Callable[[], datetime] | None = None
) -> Services:
    """Put one replica's services together: the team's store, its git remote, and a folder that may be lost.

    Without a `clock` it is the store's: those of the team's machines differ.

    Blocking; the first time the target's history is fetched. A store that names no trusted branch yet is given the
    remote's default branch, and keeps it. Raises `StoreMissing` when there is none, `StoreUnavailable`, `ValueError`
    for what is no address, `RemoteProblem` when there is no mirror yet and the remote does not answer, and
    `RepositoryProblem`, each with a sentence.
    """
    from ..gates.artifacts import ArtifactStore
    from ..gates.remote.address import parse_address
    from ..gates.remote.mirror import open_mirror
    from ..gates.remote.remote import Remote
    from ..gates.workspaces import Workspaces
    from .leases import Leases
    from .operations.branches import Branches
    from .policies import Policies

    remember_secrets_of(remote_url)
    clock = clock or store.clock(system_clock)
    # Here and now: later looks at it neither wait nor fail.
    clock()
    mirror = state_dir.absolute() / MIRROR_FOLDER
    remote = Remote(parse_address(remote_url), mirror)
    artifacts_path = mirror / "gatewright" / ARTIFACTS_FOLDER
    repository = open_mirror(mirror, remote, objects=artifacts_path / "objects")
    target = store.read(lambda tx: tx.meta_get(TARGET)) or _record_target(store, remote)
    artifacts = ArtifactStore(artifacts_path, repository.common_dir, remote)
    artifacts.ensure()
    return Services(
        store=store,
        repository=repository,
        artifacts=artifacts,
        workspaces=Workspaces(repository),
        places=Branches(remote),
        policies=Policies(repository, artifacts, target),
        leases=Leases(store.secret),
        clock=clock,
        cache=state_dir.resolve() / CACHE_FOLDER,
        remote=remote,
    )


def _record_target(store: "Store", remote: "Remote") -> str:
    """Whoever is first says which branch is trusted, for all who come after."""
    found = remote.default_branch()
    if found is None:
        raise StoreMissing(
            f"The git remote {remote.address.shown} names no default branch, and the store no trusted one. Push a "
            "first commit with a gatewright.yaml to it."
        )

    def record(tx: "Tx") -> str:
        known = tx.meta_get(TARGET)
        if known is None:
            tx.meta_set(TARGET, found)
        return known or found

    try:
        return store.run(record)
    except StoreClosed as exc:
        message = "The store names no trusted branch yet, and this role of the database may not: the first server does."
        raise StoreUnavailable(message) from exc


def cache_folder(common_dir: Path, environment: Mapping[str, str]) -> Path:
    """Where one repository's environments and checkouts lie.

    Outside of it, so that no tool mistakes them for its files. Named without links on the way, behind which a sandbox
    could mount nothing.
    """
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    name = hashlib.sha256(os.fsencode(common_dir)).hexdigest()[:16]
    return Path(home).resolve() / "gatewright" / name
