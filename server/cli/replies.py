"""Print a tool's reply and say by the exit status what it was."""

import json
from collections.abc import Mapping

from ...schemas.refusals import minutes
from .command import Exit
from .spoken import as_typed
from .terminal import Terminal

OUTCOMES = {"passed": Exit.OK, "failed": Exit.FAILED, "errored": Exit.ERRORED, "pending": Exit.UNDECIDED}
STATE_STYLES = {
    **dict.fromkeys(("passed", "landed"), "green"),
    **dict.fromkeys(("escalated", "in review", "cancelled"), "yellow"),
    **dict.fromkeys(("claimed", "evaluating"), "bold"),
    "waiting": "dim",
}

Result = Mapping[str, object]


def exit_of(result: Result) -> Exit:
    """3 refused; of a verdict 1 failed, 4 errored, 5 running or pending; 5 for nothing to claim; else 0."""
    match result:
        case {"isError": True}:
            return Exit.REFUSED
        case {"structuredContent": {"state": "running" | "pending"}} | {"structuredContent": {"kind": "none"}}:
            return Exit.UNDECIDED
        case {"structuredContent": {"state": "settled", "outcome": str(outcome)}}:
            return OUTCOMES[outcome]
        case _:
            return Exit.OK


def show(command: str, result: Result, terminal: Terminal, *, as_json: bool) -> None:
    """The reply, structured or in words, with what to do next as commands; on a terminal a status is a table."""
    match as_typed(result, command):
        case {"structuredContent": dict() as content} if as_json:
            terminal.write_data(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        case {"isError": True, "structuredContent": {"message": str(message), "next": str(action)}}:
            terminal.warn(f"gatewright: {message}", "red")
            terminal.warn(f"next: {action}")
        case {"structuredContent": dict() as content} if command == "status" and terminal.is_terminal:
            show_status(content, terminal)
        case told:
            terminal.say(text_of(told))


def text_of(result: Result) -> str:
    """What the reply says in words."""
    content = result.get("content")
    parts = [part.get("text", "") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return "\n".join(parts).rstrip("\n")


def show_status(content: Mapping[str, object], terminal: Terminal) -> None:
    """What waits for people first, then a table with a line for each stage, then what ended last."""
    terminal.say(str(content.get("summary", "")), "bold")
    for question in _texts(content.get("waiting_for_people")):
        terminal.say(f"  ? {question}", "yellow")
    unsaid = content.get("waiting_more")
    if isinstance(unsaid, int) and unsaid > 0:
        terminal.say(f"  ? and {unsaid} more", "yellow")
    rows = [row for change in _mappings(content.get("changes")) for row in _rows_of(change)]
    if rows:
        terminal.say()
        headers = ("CHANGE", "STAGE", "STATE", "HOLDER", "LEFT", "ATTEMPT", "ABOUT")
        terminal.table(headers, rows, styles=STATE_STYLES)
    more = content.get("more")
    if isinstance(more, int) and more > 0:
        terminal.say(f"and {more} more: gatewright status CHANGE", "dim")
    for ended in _texts(content.get("ended")):
        terminal.say(ended, "dim")
    if content.get("warning"):
        terminal.say(str(content["warning"]), "yellow")


def _rows_of(change: Mapping[str, object]) -> list[tuple[str, ...]]:
    rows = [
        (
            "",
            str(stage.get("stage", "")),
            str(stage.get("state", "")).replace("_", " "),
            str(stage.get("holder") or ""),
            left_of(stage.get("expires_in_s")),
            str(stage.get("attempt") or ""),
            "" if stage.get("state") in ("passed", "open") else str(stage.get("because", "")),
        )
        for stage in _mappings(change.get("stages"))
    ]
    landing = change.get("landing")
    about = f"{change.get('title', '')}" + (f" ({landing})" if landing else "")
    return [(str(change.get("change", "")), "", str(change.get("state", "")), "", "", "", about), *rows]


def left_of(seconds: object) -> str:
    """How long a lease lasts, for a table's cell."""
    return minutes(seconds).replace(" more", "") if isinstance(seconds, int | float) else ""


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _mappings(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
