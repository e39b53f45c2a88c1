"""Choose how programs are kept to their reach: the best way that works on this machine, proved by a trial.

    full     bubblewrap: files, processes, network, memory of others
    files    landlock, on macOS sandbox-exec: files, and not the network
    process  nothing is kept out; whatever the program leaves running is found and ended
    none     not even that: only the process group is ended

Versions and settings say little about what works in a container or under a security module, so a program tries to get
out of each in turn. What was reached stands in every verdict; the choice holds for the life of this process.
"""

import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..schemas.pipeline import ISOLATION_LEVELS
from .isolation.bubblewrap import Bubblewrap
from .isolation.installations import default_reads
from .isolation.landlock import Landlock
from .isolation.reach import Confined, Reach, Sandbox
from .isolation.seatbelt import PROGRAM as SEATBELT
from .isolation.seatbelt import Seatbelt
from .preparation.server_settings import server_path
from .process import Finished, ProcessLimits, allowed_environment, find_tool, run_process, weakest_level
from .text import shorten

FORCED_VARIABLE = "GATEWRIGHT_ISOLATION"

TRIAL = Path(__file__).parent / "kinds" / "probes" / "sandbox_probe.py"
TRIAL_LIMITS = ProcessLimits(timeout_s=20.0, output_bytes_max=20_000)
ABOUT = {
    "full": "gates reach their own files, processes and loopback only",
    "files": "gates reach their own files only; the network and the list of processes are open to them",
    "process": "gates reach whatever the server does; what they leave running is ended",
    "none": "gates reach whatever the server does, and may leave processes behind",
}
# What a level does not promise to keep out.
GRANTED = {"full": frozenset[str](), "files": frozenset({"connect to other programs"})}
MENDS = {
    "full": "install bubblewrap, and allow it to make user namespaces",
    "files": "use a kernel with landlock, or install bubblewrap",
    "process": "run the server on Linux with /proc",
}
UNFORCE = f"start the server without {FORCED_VARIABLE}"


@dataclass(frozen=True)
class Choice:
    """`unreached` says of each better level, in one sentence, why it is not the one."""

    level: str
    enclose: Callable[[Reach], Sandbox]
    unreached: Mapping[str, str]

    def explain_shortfall(self, required: str | None) -> str | None:
        """Why gates must not run here when the policy requires this level; None when they may."""
        if required is None or ISOLATION_LEVELS.index(self.level) <= ISOLATION_LEVELS.index(required):
            return None
        because = self.unreached.get(required, "")
        mend = UNFORCE if because.startswith(FORCED_VARIABLE) else MENDS[required]
        return (
            f"The policy requires isolation '{required}', and this machine reaches '{self.level}': "
            f"{because} To mend it, {mend}; `gatewright doctor` tells more."
        )


@dataclass(frozen=True)
class Unconfined:
    """No sandbox: the command as it is."""

    reach: Reach
    level: str

    def confine(self, argv: Sequence[str], *, cwd: Path) -> Confined:
        """Nothing is added."""
        return Confined(argv, cwd)


# What was chosen, by the level that was asked for.
_chosen: dict[str, Choice] = {}


async def choose() -> Choice:
    """The choice for this process, made by the first caller. `GATEWRIGHT_ISOLATION` can ask for a weaker level."""
    asked = os.environ.get(FORCED_VARIABLE, "")
    if asked not in _chosen:
        _chosen[asked] = await find_best(os.environ)
    return _chosen[asked]


async def find_best(server: Mapping[str, str]) -> Choice:
    """Try what this machine has, the best first; `server` is the server's environment."""
    forced = server.get(FORCED_VARIABLE, ISOLATION_LEVELS[0])
    strongest = ISOLATION_LEVELS.index(forced) if forced in ISOLATION_LEVELS else 0
    unreached: dict[str, str] = {}
    for level, enclose in (("full", _find_bubblewrap(server)), ("files", _find_fence())):
        if ISOLATION_LEVELS.index(level) < strongest:
            unreached[level] = f"{FORCED_VARIABLE} asks for '{forced}'."
        elif isinstance(enclose, str):
            unreached[level] = enclose
        else:
            problem = await _try(level, enclose, server)
            if problem is None:
                return Choice(level, enclose, unreached)
            unreached[level] = problem
    weakest = weakest_level()
    if weakest == "none":
        unreached["process"] = "Orphaned processes cannot be adopted and listed here."
    return Choice(weakest, lambda reach: Unconfined(reach, weakest), unreached)


def _find_bubblewrap(server: Mapping[str, str]) -> Callable[[Reach], Sandbox] | str:
    program = find_tool("bwrap", server_path(server))
    return "bubblewrap is not installed." if program is None else lambda reach: Bubblewrap(program, reach)


def _find_fence() -> Callable[[Reach], Sandbox]:
    return Seatbelt if SEATBELT.exists() else Landlock


async def _try(level: str, enclose: Callable[[Reach], Sandbox], server: Mapping[str, str]) -> str | None:
    """Let a program try to get out; what it achieved, or why it did not start, in one sentence."""
    # No thread for these few small files: the nursery that forks runners has none.
    with (
        tempfile.TemporaryDirectory(prefix="gatewright-trial-", ignore_cleanup_errors=True) as folder,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        finished = await _run_trial(Path(folder), listening.getsockname()[1], enclose, server)
    return _explain(finished, GRANTED[level])


async def _run_trial(
    folder: Path, port: int, enclose: Callable[[Reach], Sandbox], server: Mapping[str, str]
) -> Finished:
    hidden, readable, writable, temporary = (folder / name for name in ("hidden", "readable", "writable", "temporary"))
    for place in (hidden, readable, writable, temporary):
        place.mkdir()
        (place / "file").write_text("content")
    python, path = Path(sys.executable), server_path(server)
    reads = default_reads(path, python, server=server, variables={}, hidden=(hidden,))
    reach = Reach((*reads, readable), (writable,), (hidden,), temporary)
    environment = allowed_environment(path=path, home=writable, tmp=writable, extra={})
    command = [str(python), "-I", "-S", str(TRIAL), str(hidden), str(readable), str(writable), str(port)]
    return await run_process(
        command,
        cwd=writable,
        environment=environment,
        limits=TRIAL_LIMITS,
        sandbox=enclose(reach),
        stdout_bytes_max=TRIAL_LIMITS.output_bytes_max,
    )


def _explain(finished: Finished, granted: frozenset[str]) -> str | None:
    try:
        achieved, missed = json.loads(finished.stdout or b"")
    except ValueError:
        said = shorten(finished.output.strip().rpartition("\n")[2], 200)
        return finished.problem or f"A trial program ended with exit code {finished.returncode}: {said}"
    if wrong := sorted({*achieved} - granted):
        return f"A trial program could {wrong[0]}."
    return f"A trial program could not {missed[0]}." if missed else None
