"""Claude Code's hook that calls `gatewright stop-hook` when a turn ends: printed, or written when a person agrees."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .clients import server_command
from .clients.client import Traces
from .clients.json_client import unsafe
from .clients.json_text import WrongJson, find, put, read, take
from .clients.settings_file import delete_made, read_settings, write_settings
from .command import Exit
from .installations import remember
from .terminal import Terminal

if TYPE_CHECKING:
    from ..store import Store

HOOKED = "claude-code"
HOOK = "claude-code hook"
"""The hook's name among the installations."""

TIMEOUT_S = 30
SETTINGS = Path(".claude", "settings.local.json")
_HOLDER, _EVENT = "hooks", "Stop"
_COMMAND = "stop-hook"


def install_hook(top: Path, store: "Store | None", terminal: Terminal) -> int:
    """Show the hook; with a store, at a terminal, write it when the person agrees. A hook of theirs is left alone."""
    file = top / SETTINGS
    text = json.dumps({_HOLDER: {_EVENT: _hook()}}, indent=2, ensure_ascii=False) + "\n"
    if store is None:
        terminal.warn(f"For {HOOKED}, in {file} (this is the whole of it when there is none yet):")
        terminal.write_data(text)
        return Exit.OK
    before = read_settings(file)
    present = _present(file, before)
    if present is not None:
        foreign = f"{file} has a {_EVENT} hook of yours; add ours beside it:\n{text}"
        terminal.say(f"{file} has the hook already." if _is_ours(present) else foreign)
        return Exit.OK
    terminal.say(f"{text}A turn cannot end, once, with work that was claimed in it and not handed in.")
    if not terminal.confirm(f"Write this into {file}?"):
        terminal.say("Nothing was written.")
        return Exit.OK
    try:
        after = put(before, (_HOLDER, _EVENT), _hook())
    except WrongJson as exc:
        raise unsafe(file, exc) from exc
    holders = () if find(before, (_HOLDER,)) is not None else (f"{file}#{_HOLDER}",)
    remember(store, HOOK, top, Traces(write_settings(file, after, mode=0o644), holders))
    terminal.say("Wrote it. Restart your client. To undo it: gatewright uninstall")
    return Exit.OK


def uninstall_hook(top: Path, traces: Traces) -> bool:
    """Take the hook out if it is still the one that was written; whether it was."""
    file = top / SETTINGS
    before = read_settings(file)
    if not _is_ours(_present(file, before)):
        return False
    after = take(before, (_HOLDER, _EVENT))
    if find(after, (_HOLDER,)) == {} and f"{file}#{_HOLDER}" in traces.holders:
        after = take(after, (_HOLDER,))
    if read(after).data == {} and str(file) in traces.paths:
        delete_made(file, traces.paths)
    else:
        write_settings(file, after, mode=0o644)
    return True


def _hook() -> list[Mapping[str, object]]:
    command = shlex.join([*server_command(), _COMMAND])
    return [{"hooks": [{"type": "command", "command": command, "timeout": TIMEOUT_S}]}]


def _present(file: Path, text: str) -> object:
    try:
        return find(text, (_HOLDER, _EVENT))
    except WrongJson as exc:
        raise unsafe(file, exc) from exc


def _is_ours(present: object) -> bool:
    """Whether it is our hook and nothing else, by whatever path gatewright had then."""
    match present:
        case [{"hooks": [{"command": str(command)}]}]:
            return command.endswith(f" {_COMMAND}") and "gatewright" in command
        case _:
            return False
