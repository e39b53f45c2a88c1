"""What the official inspector makes of the product's real command: a client of the other SDK, and strict about schemas.

Each call starts the command anew over standard input and output; what it prints on its error output is a problem too.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from subprocess import DEVNULL, CompletedProcess
from typing import Any

import anyio

from gatewright.schemas.arguments import TOOLS

from .downloads import Programs
from .installed import Command

# What the inspector calls the two generations of the protocol.
ERAS = ("legacy", "modern")
CALL_TIMEOUT_S = 90.0
# The first call starts the server, beside whatever else the machine does.
CONNECT_TIMEOUT_MS = 60_000
AT_ONCE = 2
TOLD_CHARS_MAX = 600

Result = Mapping[str, Any]  # JSON


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


async def inspect(programs: Programs, command: Command) -> tuple[str, ...]:
    """Every call in both eras; a sentence for each that went wrong."""
    problems: list[str] = []
    limiter = anyio.CapacityLimiter(AT_ONCE)
    async with anyio.create_task_group() as tasks:

        async def check(era: str, call: Call) -> None:
            async with limiter:
                problem = await _check(command, [*programs.inspector, "--protocol-era", era], call)
            if problem is not None:
                problems.append(f"inspector, {era}, {' '.join(call.arguments)}: {problem[:TOLD_CHARS_MAX]}")

        for era in ERAS:
            for call in CALLS:
                tasks.start_soon(check, era, call)
    return tuple(sorted(problems))


async def _check(command: Command, inspector: Sequence[str], call: Call) -> str | None:
    options = ("--format", "json", "--connect-timeout", str(CONNECT_TIMEOUT_MS))
    done = await _run(command, [*inspector, *options, *command.argv, *call.arguments])
    output, errors = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    if done.returncode != 0 or errors:
        return f"status {done.returncode}: {errors or output}"
    try:
        is_right = call.is_right(json.loads(output)["result"])
    except (ValueError, LookupError, TypeError) as exc:
        return f"{exc!r} in {output}"
    return None if is_right else f"not what the product has: {output}"


async def _run(command: Command, argv: Sequence[str]) -> CompletedProcess[bytes]:
    environment = {**command.environment, "MCP_CATALOG_PATH": str(command.folder.with_suffix(".catalog"))}
    with anyio.fail_after(CALL_TIMEOUT_S):
        return await anyio.run_process(argv, cwd=command.folder, env=environment, stdin=DEVNULL, check=False)
