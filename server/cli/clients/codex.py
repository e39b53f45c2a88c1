"""Codex: a table of its TOML file, which holds for all of the user's projects."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..command import CannotGoOn
from .client import NAME, Done, JsonObject, Traces, entry_of
from .settings_file import delete_made, read_settings, write_settings

TOOL_TIMEOUT_S = 300
CHOICES: JsonObject = {
    "required": True,
    "tool_timeout_sec": TOOL_TIMEOUT_S,
    "default_tools_approval_mode": "approve",
}
ABOUT = (
    "required: the first turn waits for gatewright, so that its tools are there",
    f"tool_timeout_sec: a call may wait {TOOL_TIMEOUT_S} s for a verdict",
    "default_tools_approval_mode: its tools run without a question each; none of them can decide about a gate",
)

_HEADING = f"[mcp_servers.{NAME}]"
# Our own lines: they end at the first blank line, comment or heading, which belong to the person.
_TABLE = re.compile(rf"^{re.escape(_HEADING)}\n(?:[^\[#\s].*\n?)*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Codex:
    """`$CODEX_HOME/config.toml`."""

    file: str = "$CODEX_HOME/config.toml"
    is_shared: bool = True

    def text(self, _top: Path) -> str:
        """The table as it is written where there is none."""
        return _table({})

    def install(self, _top: Path) -> Done:
        """Write the table; what a person set in it stays, unless it says where gatewright is."""
        file = codex_file()
        before = read_settings(file)
        plain = _with_plain_ends(before, file)
        table = _table(_own_table(plain, file))
        after = plain if table in plain else _with_table(_TABLE.sub("", plain), table)
        _check(file, plain, after)
        if after == plain:
            return Done(f"{file} has gatewright already.", ABOUT)
        made = write_settings(file, _with_ends_of(before, after), mode=0o600)
        what = f"Wrote {_HEADING} into {file}; it holds in all of your projects."
        return Done(what, ABOUT, traces=Traces(made))

    def uninstall(self, _top: Path, traces: Traces) -> bool:
        """Take the table away, from all projects."""
        file = codex_file()
        before = read_settings(file)
        plain = _with_plain_ends(before, file)
        if not _TABLE.search(plain):
            return False
        after = _with_table(_TABLE.sub("", plain), "")
        _check(file, plain, after)
        if not after.strip() and str(file) in traces.paths:
            delete_made(file, traces.paths)
        else:
            write_settings(file, _with_ends_of(before, after), mode=0o600)
        return True


def codex_file() -> Path:
    """Codex's settings, for all of the user's projects."""
    return Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex") / "config.toml"


def _table(own: Mapping[str, object]) -> str:
    lines = {**entry_of(), **CHOICES, **own, **entry_of()}
    return "\n".join([_HEADING, *(f"{key} = {_value(value)}" for key, value in lines.items())]) + "\n"


def _value(value: object) -> str:
    """A TOML value: of strings, numbers, truth values and lists of them JSON's spelling is TOML's as well."""
    return json.dumps(value, ensure_ascii=False)


def _own_table(text: str, file: Path) -> Mapping[str, object]:
    """What stands under our heading; sub-tables stay where they are, in the person's own lines."""
    found = _TABLE.search(text)
    if found is None:
        return {}
    try:
        table = tomllib.loads(found[0])["mcp_servers"][NAME]
        _table(table)
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as exc:
        raise _unsafe(file) from exc
    return dict(table)


def _with_table(rest: str, table: str) -> str:
    """The person's lines, a blank one, and ours."""
    return "\n\n".join(part for part in (rest.strip("\n"), table.strip("\n")) if part) + "\n"


def _check(file: Path, before: str, after: str) -> None:
    """Raise `CannotGoOn`, with the lines to add by hand, when anything but our table would differ."""
    try:
        same = _without_ours(tomllib.loads(before)) == _without_ours(tomllib.loads(after))
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise _unsafe(file)


def _unsafe(file: Path) -> CannotGoOn:
    message = f"{file} cannot be changed safely; it is as it was."
    return CannotGoOn(message, f"Change it by hand; the lines are:\n{_table({})}", code="wrong_settings")


def _without_ours(settings: Mapping[str, object]) -> JsonObject:
    """The settings without our table; those below ours are the person's."""
    found = settings.get("mcp_servers")
    servers: JsonObject = dict(found) if isinstance(found, dict) else {}
    ours = servers.pop(NAME, None)
    below = {key: value for key, value in ours.items() if isinstance(value, dict)} if isinstance(ours, dict) else {}
    return {**settings, "mcp_servers": {**servers, NAME: below} if below else servers}


def _with_plain_ends(text: str, file: Path) -> str:
    plain = text.replace("\r\n", "\n")
    if _with_ends_of(text, plain) != text:
        raise _unsafe(file)
    return plain


def _with_ends_of(text: str, plain: str) -> str:
    """The lines ended as those of `text` are."""
    return plain.replace("\n", "\r\n") if "\r\n" in text else plain
