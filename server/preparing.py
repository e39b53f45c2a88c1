"""Give workspaces what `setup` makes: in the background, because a claim does not wait for an installation.

A workspace gets a private layer over the shared environment, never the shared environment itself: what an agent
installs there must not reach the gates.
"""

import logging
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

from ..gates.artifact_store.objects import BadArtifact
from ..gates.environment import KEY_FILE_BYTES_MAX, PreparedEnvironment, prepare_environment
from ..gates.isolation.installations import hidden_places
from ..gates.policy import Policy
from ..gates.preparation.layer import make_layer
from ..gates.process import ProcessLimits, allowed_environment
from ..gates.sandbox import choose
from ..gates.worktrees.problems import RepositoryProblem
from ..schemas.pipeline import Limits
from ..schemas.refusals import Refused
from .operations import bases
from .operations.deciding import get_change
from .services import Services

LAYER_TIMEOUT_S = 60.0
LAYER_OUTPUT_BYTES_MAX = 20_000
WAITING_MAX = 200
VENV = ".venv"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workplace:
    """A workspace that was just made."""

    change: str
    stage: str
    path: Path


class Preparation:
    """Workspaces waiting to be prepared, oldest dropped when there are too many."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: deque[Workplace] = deque(maxlen=WAITING_MAX)

    def ask(self, workplace: Workplace) -> None:
        """Have a workspace prepared, soon."""
        self._waiting.append(workplace)
        self._services.changed.fire()

    async def work(self) -> None:
        """Prepare one after another, until cancelled."""
        while True:
            ticket = self._services.changed.ticket()
            while self._waiting:
                await self.prepare(self._waiting.popleft())
            await ticket.wait()

    async def prepare(self, workplace: Workplace) -> None:
        """Prepare one now. Why one cannot be is logged, not raised: nothing in a repository may end the server."""
        try:
            await self._prepare(workplace)
        except (OSError, Refused, BadArtifact, RepositoryProblem) as exc:
            log.warning("workspace %s was not prepared: %s", workplace.path, exc)

    async def _prepare(self, workplace: Workplace) -> None:
        services = self._services
        record = await services.read(lambda tx: get_change(tx, workplace.change))
        policy = await services.act(lambda: services.policies.at(record.policy.commit))
        pipeline = policy.pipeline
        stage = record.find_stage(workplace.stage)
        # Since the claim the stage may have gone back to waiting, and then it has nothing to start from.
        if pipeline.setup is None or stage is None or stage.lease is None or not workplace.path.is_dir():
            return
        start = await services.act(lambda: bases.workspace_start(services, record, workplace.stage))
        files = await services.act(lambda: _key_files(services, policy, start.content))
        if shortfall := (await choose()).explain_shortfall(pipeline.require_isolation):
            log.warning("workspace %s was not prepared: %s", workplace.path, shortfall)
            return
        own = (services.cache, services.artifacts.path)
        made = await prepare_environment(
            pipeline.setup,
            files=files,
            cache=services.cache / "environments",
            limits=pipeline.limits,
            report=log.info,
            hidden=hidden_places(Path.home(), shared=services.repository.common_dir, own=own),
        )
        if not isinstance(made, PreparedEnvironment):
            log.warning("setup for %s failed: %s", workplace.path, made.sentence)
            return
        await _furnish(services, made, workplace.path, pipeline.limits)


def _key_files(services: Services, policy: Policy, commit: str) -> dict[str, bytes]:
    paths = {entry.path for each in {commit, policy.commit} for entry in services.artifacts.entries(each)}
    sources = policy.key_sources(commit, paths)
    read = {path: services.artifacts.read(source, path, KEY_FILE_BYTES_MAX) for path, source in sources.items()}
    return {path: data for path, data in read.items() if data is not None}


async def _furnish(services: Services, made: PreparedEnvironment, path: Path, limits: Limits) -> None:
    """Lay the environment into the workspace, under names that git ignores there and nothing of the agent's is lost."""
    for kept in made.keep:
        place = path / kept
        if made.root is None or place.exists() or place.is_symlink():
            continue
        await services.act(lambda pattern=f"/{kept}": services.repository.exclude(pattern))  # type: ignore[misc]  # a bound loop variable - mypy infers no type for it
        if kept == VENV:
            environment = allowed_environment(path=made.path, home=path, tmp=path, extra=made.variables)
            process_limits = ProcessLimits(
                timeout_s=LAYER_TIMEOUT_S,
                output_bytes_max=LAYER_OUTPUT_BYTES_MAX,
                processes_max=limits.processes,
                memory_bytes_max=limits.memory,
                file_bytes_max=None,
            )
            with tempfile.TemporaryDirectory(prefix="gatewright-") as temporary:
                sandbox = (await choose()).enclose(made.reach(temporary=Path(temporary)))
                problem = await make_layer(
                    made.python, place, environment=environment, limits=process_limits, sandbox=sandbox
                )
            if problem is not None:
                log.warning("workspace %s has no %s: %s", path, VENV, problem)
        else:
            await services.act(lambda source=made.root / kept, to=place: _copy(source, to))  # type: ignore[misc]  # a bound loop variable, as above


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    copytree(source, place, symlinks=True)
