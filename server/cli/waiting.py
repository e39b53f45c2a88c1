"""Call a tool and wait as long as the caller wants, in pieces that the server allows."""

import time
from collections.abc import Callable, Mapping

from ...schemas.arguments import WAIT_S_MAX
from ..client import call_tool

# A call may take this long beyond its waiting: the server may have to start, a workspace to be made.
CALL_TIMEOUT_S = 120.0
WAITING_TOOLS = frozenset({"claim_stage", "check_gates", "submit_artifact", "wait_for_update"})

Result = dict[str, object]


def call_and_wait(
    common_dir: str,
    tool: str,
    arguments: Mapping[str, object],
    *,
    wait_s: float | None,
    on_progress: Callable[[str], None],
) -> Result:
    """The tool's result; for a verdict that is still running after one call, that of waiting for it until `wait_s`.

    Only the tools that wait get `wait_s`. Ending this process in between changes nothing: the evaluation goes on.
    """

    def call(name: str, told: Result, piece_s: float) -> Result:
        return call_tool(common_dir, name, told, timeout_s=piece_s + CALL_TIMEOUT_S, on_progress=on_progress)

    return wait_by(call, tool, arguments, wait_s=wait_s)


def wait_by(
    one_call: Callable[[str, Result, float], Result],
    tool: str,
    arguments: Mapping[str, object],
    *,
    wait_s: float | None,
) -> Result:
    """The same by any way to call a tool: its name, its arguments, and how long it is to wait, in seconds."""

    def call(name: str, given: Mapping[str, object], left_s: float) -> Result:
        piece_s = max(0, min(int(left_s), WAIT_S_MAX))
        told = {**given, "wait_s": piece_s} if name in WAITING_TOOLS else dict(given)
        return one_call(name, told, piece_s)

    if wait_s is None:
        return call(tool, arguments, 0.0)
    deadline_s = time.monotonic() + wait_s
    result = call(tool, arguments, wait_s)
    while (evaluation := running_evaluation(result)) is not None and (left_s := deadline_s - time.monotonic()) >= 1:
        result = call("wait_for_update", {"evaluation": evaluation}, left_s)
    return result


def running_evaluation(result: Mapping[str, object]) -> str | None:
    """The evaluation whose verdict is not there yet; None when there is nothing to wait for."""
    match result:
        case {"structuredContent": {"state": "running", "evaluation": str(evaluation)}}:
            return evaluation
        case _:
            return None
