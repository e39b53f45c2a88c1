"""What the official inspector makes of the product's real command: a client of the other SDK, and strict about schemas.

Each call starts the `gatewright` that is installed beside this Python over standard input and output, in a repository
and a home of its own.
"""

import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio

from gatewright.schemas.arguments import TOOLS
from gatewright.server.liveness import is_running
from gatewright.server.process import IDLE_VARIABLE
from gatewright.server.rendezvous import PID_FILE

from ..acceptance.house import Repository
from .downloads import Programs

# Of this run's environment, all that the product's command gets.
KEPT = ("HOME", "LANG", "XDG_RUNTIME_DIR", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")
# What the inspector calls the two generations of the protocol.
ERAS = ("legacy", "modern")
CALL_TIMEOUT_S = 90.0
# The first call starts the server, beside whatever else the machine does.
CONNECT_TIMEOUT_MS = 60_000
AT_ONCE = 2
LEAVE_WITHIN_S = 10.0
LOOK_EVERY_S = 0.05
IDLE_S = 60
TOLD_CHARS_MAX = 600

Result = Mapping[str, Any]  # JSON


@dataclass(frozen=True, slots=True)
class Done:
    """A program that has ended."""

    status: int
    output: str
    errors: str


Run = Callable[[Sequence[str]], Awaitable[Done]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the inspector: its arguments, and whether its result is what the product has."""

    arguments: tuple[str, ...]
    is_right: Callable[[Result], bool]


def _names(kind: str, field: str, *wanted: str) -> Callable[[Result], bool]:
    return lambda result: {item[field] for item in result[kind]} >= set(wanted)


CALLS = (
    Call(("--method", "tools/list", "--strict"), _names("tools", "name", *TOOLS)),
    Call(("--method", "resources/list"), _names("resources", "uri", "gatewright://changes", "gatewright://pipeline")),
    Call(
        ("--method", "resources/templates/list"),
        _names("resourceTemplates", "uriTemplate", "gatewright://changes/{change}"),
    ),
    Call(("--method", "prompts/list"), _names("prompts", "name", "take_change_through", "work_stage", "review_stage")),
    Call(
        ("--method", "tools/call", "--tool-name", "get_status"),
        lambda result: result["structuredContent"]["next"] in result["content"][0]["text"],
    ),
    Call(
        ("--method", "resources/read", "--uri", "gatewright://pipeline"),
        lambda result: "code" in json.loads(result["contents"][0]["text"])["stages"][0].values(),
    ),
    Call(
        ("--method", "prompts/get", "--prompt-name", "work_stage"),
        lambda result: "claim_stage" in result["messages"][0]["content"]["text"],
    ),
)


async def inspect(programs: Programs, folder: Path) -> tuple[str, ...]:
    """Every call in both eras; a sentence for each that went wrong."""
    problems: list[str] = []
    limiter = anyio.CapacityLimiter(AT_ONCE)
    async with _command(folder) as run, anyio.create_task_group() as tasks:

        async def check(era: str, call: Call) -> None:
            async with limiter:
                problem = await _check(run, [*programs.inspector, "--protocol-era", era], call)
            if problem is not None:
                problems.append(f"inspector, {era}, {' '.join(call.arguments)}: {problem[:TOLD_CHARS_MAX]}")

        for era in ERAS:
            for call in CALLS:
                tasks.start_soon(check, era, call)
    return tuple(sorted(problems))


async def _check(run: Run, inspector: Sequence[str], call: Call) -> str | None:
    options = ("--format", "json", "--connect-timeout", str(CONNECT_TIMEOUT_MS))
    done = await run([*inspector, *options, "gatewright", *call.arguments])
    if done.status != 0 or done.errors:
        return f"status {done.status}: {done.errors or done.output}"
    try:
        is_right = call.is_right(json.loads(done.output)["result"])
    except (ValueError, LookupError, TypeError) as exc:
        return f"{exc!r} in {done.output}"
    return None if is_right else f"not what the product has: {done.output}"


@asynccontextmanager
async def _command(folder: Path) -> AsyncGenerator[Run]:
    """Runs programs in a fresh repository with gatewright set up in it; its server is ended with the block."""
    repository = Repository(folder / "inspected")
    environment = {
        **{name: value for name, value in os.environ.items() if name in KEPT},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MCP_CATALOG_PATH": str(folder / "catalog.json"),
        IDLE_VARIABLE: str(IDLE_S),
    }

    async def run(argv: Sequence[str]) -> Done:
        with anyio.fail_after(CALL_TIMEOUT_S):
            done = await anyio.run_process(argv, cwd=repository.path, env=environment, stdin=DEVNULL, check=False)
        return Done(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    try:
        yield run
    finally:
        _end_server(repository)


def _end_server(repository: Repository) -> None:
    """A server that does not leave when it is told to is not ours to wait for: it leaves when idle."""
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int((repository.state / PID_FILE).read_text())
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + LEAVE_WITHIN_S
        while is_running(pid) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
