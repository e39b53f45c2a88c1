"""Everything a gate kind may use to judge one commit, computed once and shared by the gates of an evaluation.

It reads commits (`commit_reader`), makes places to run in (`place_maker`), and runs programs there. They run only
through `run`, which takes a slot, so that the gates of one evaluation share the machine as the server said.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
from anyio import to_thread

from ..environment import PreparedEnvironment
from ..process import Finished, ProcessLimits, allowed_environment, run_process
from .place_maker import CLEAN_UP_TIMEOUT_S, PlaceMaker
from .scratch import remove_tree

# What a gate may add to its private copy before the copy counts as a runaway.
FILE_BYTES_MAX = 2_000_000_000


class Submission(PlaceMaker):
    """One commit under judgement."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: PreparedEnvironment,
        timeout_s: float,
        extra: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        stdout_bytes_max: int | None = None,
        output_bytes_max: int | None = None,
        reads: Sequence[Path] = (),
        writes: Sequence[Path] = (),
        network: bool = False,
    ) -> Finished:
        """Run a program in a slot, under the policy's limits, with a home and a temporary folder of its own.

        `reads` and `writes` are what it reaches besides the usual places, its private tree and its environment; a path
        in a tree is no grant, for an artifact could have made it a link. `network` lets it out of its own loopback.
        Raises `CannotJudge` when the machine does not isolate programs as the policy requires.
        """
        choice = await self._require_isolation()
        places = self.make_folder("run")
        home, temporary = places / "home", places / "tmp"
        for folder in (home, temporary, places / "shared"):
            folder.mkdir()
        tree = next((tree for tree in self._writable if cwd.is_relative_to(tree)), None)
        reach = environment.reach(
            *(() if tree else (cwd,)),
            *self._objects,
            *reads,
            writes=[places, *writes, *((tree,) if tree else ())],
            temporary=places / "shared",
            network=network,
        )
        variables = allowed_environment(
            path=environment.path, home=home, tmp=temporary, extra={**environment.variables, **(extra or {})}
        )
        try:
            async with self._slots:
                return await run_process(
                    argv,
                    cwd=cwd,
                    environment=variables,
                    limits=self._process_limits(timeout_s, output_bytes_max or self.limits.output),
                    stdin=stdin,
                    stdout_bytes_max=stdout_bytes_max,
                    sandbox=choice.enclose(reach),
                )
        finally:
            with anyio.move_on_after(CLEAN_UP_TIMEOUT_S, shield=True):
                await to_thread.run_sync(remove_tree, places)

    def _process_limits(self, timeout_s: float, output_bytes_max: int) -> ProcessLimits:
        return ProcessLimits(
            timeout_s=timeout_s,
            output_bytes_max=output_bytes_max,
            processes_max=self.limits.processes,
            memory_bytes_max=self.limits.memory,
            file_bytes_max=FILE_BYTES_MAX,
            disk_bytes_max=self.limits.disk,
        )
