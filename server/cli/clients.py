"""The MCP clients: how each is told of gatewright, and how it is made to forget."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...gates.files import replace_text
from .command import CannotGoOn

NAME = "gatewright"
CLIENT_TIMEOUT_S = 60.0
CODEX_TOOL_TIMEOUT_S = 300

# Our own lines: they end at the first blank line, comment or heading, which belong to the person.
_TABLE = re.compile(rf"^\[mcp_servers\.{NAME}\]\n(?:[^\[#\s].*\n?)*", re.MULTILINE)

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Done:
    """What was written and where; `settings` says what each setting is for."""

    what: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """`text` is what a person would paste into `file`. Without `install` this version only prints it."""

    file: str
    text: Callable[[Path], str]
    install: Callable[[Path], Done] | None = None
    uninstall: Callable[[Path], bool] | None = None


def server_command() -> list[str]:
    """gatewright by its absolute path: clients start servers with other PATHs than a person's shell."""
    beside_python = Path(sys.executable).with_name(NAME)
    if beside_python.is_file():
        return [str(beside_python)]
    found = shutil.which(NAME)
    return [str(Path(found).absolute())] if found else [sys.executable, "-m", NAME]


def _entry(*options: str) -> JsonObject:
    command, *arguments = [*server_command(), *options]
    return {"command": command, "args": arguments}


def _json(*path: str, entry: JsonObject) -> str:
    value: JsonObject = {NAME: entry}
    for key in reversed(path):
        value = {key: value}
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


# Claude Code


def _install_claude_code(top: Path) -> Done:
    claude = shutil.which("claude")
    if claude is None:
        file = top / ".mcp.json"
        _change_json(file, lambda servers: {**servers, NAME: {"type": "stdio", **_entry(), "env": {}}})
        return Done(f"There is no claude program here, so {file} was written: Claude Code reads it in this project.")
    # Adding a name that is there is an error to it, and the path may have changed.
    _run_client([claude, "mcp", "remove", "--scope", "local", NAME], top, expected=(0, 1))
    _run_client([claude, "mcp", "add", "--scope", "local", NAME, "--", *server_command()], top)
    return Done("Told Claude Code of gatewright for this project (claude mcp add --scope local).")


def _uninstall_claude_code(top: Path) -> bool:
    claude = shutil.which("claude")
    removed = claude is not None and not _run_client(
        [claude, "mcp", "remove", "--scope", "local", NAME], top, expected=(0, 1)
    )
    return _remove_from_json(top / ".mcp.json") or removed


# Codex


def codex_file() -> Path:
    """Codex's settings, for all of the user's projects."""
    return Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex") / "config.toml"


def _codex_table() -> str:
    command, *arguments = server_command()
    # A JSON string without escapes beyond these is a TOML string as well.
    lines = [
        f"[mcp_servers.{NAME}]",
        f"command = {json.dumps(command, ensure_ascii=False)}",
        f"args = {json.dumps(arguments, ensure_ascii=False)}",
        "required = true",
        f"tool_timeout_sec = {CODEX_TOOL_TIMEOUT_S}",
        'default_tools_approval_mode = "approve"',
    ]
    return "\n".join(lines) + "\n"


def _install_codex(_top: Path) -> Done:
    file = codex_file()
    before = _read(file)
    after = before if _codex_table() in before else _with_table(_TABLE.sub("", before), _codex_table())
    _write_toml(file, before, after)
    settings = (
        "required: the first turn waits for gatewright, so that its tools are there",
        f"tool_timeout_sec: a call may wait {CODEX_TOOL_TIMEOUT_S} s for a verdict",
        "default_tools_approval_mode: its tools run without a question each; none of them can decide about a gate",
    )
    return Done(f"Wrote [mcp_servers.{NAME}] into {file}; it holds in all of your projects.", settings)


def _uninstall_codex(_top: Path) -> bool:
    file = codex_file()
    before = _read(file)
    if not _TABLE.search(before):
        return False
    _write_toml(file, before, _with_table(_TABLE.sub("", before), ""))
    return True


def _with_table(rest: str, table: str) -> str:
    """The person's lines, a blank one, and ours."""
    return "\n\n".join(part for part in (rest.strip("\n"), table.strip("\n")) if part) + "\n"


def _write_toml(file: Path, before: str, after: str) -> None:
    """Write the file when nothing but our table differs; raises `CannotGoOn` with the lines to add by hand."""
    if after == before:
        return
    try:
        same = _without_ours(tomllib.loads(before)) == _without_ours(tomllib.loads(after))
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        message = f"{file} cannot be changed safely; it is as it was."
        raise CannotGoOn(message, f"Change it by hand; the lines are:\n{_codex_table()}")
    if not after.strip() and not file.is_symlink():
        file.unlink()
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_text(file.resolve(), after, mode=file.stat().st_mode & 0o777 if file.exists() else 0o600)


def _without_ours(settings: Mapping[str, object]) -> JsonObject:
    servers = settings.get("mcp_servers")
    others = {name: value for name, value in servers.items() if name != NAME} if isinstance(servers, dict) else {}
    return {**{key: value for key, value in settings.items() if key != "mcp_servers"}, "mcp_servers": others}


# Files of settings


def _change_json(file: Path, change: Callable[[JsonObject], JsonObject]) -> bool:
    """Change `mcpServers` in a JSON file and nothing else; returns whether it differs now."""
    try:
        settings = json.loads(_read(file) or "{}")
        servers = settings.setdefault("mcpServers", {})
        after = change(dict(servers))
    except (ValueError, AttributeError, TypeError) as exc:
        raise CannotGoOn(f"{file} is not JSON as an MCP client reads it ({exc}).", "Mend it first.") from exc
    if after == servers:
        return False
    if after or set(settings) != {"mcpServers"}:
        text = json.dumps({**settings, "mcpServers": after}, indent=2, ensure_ascii=False) + "\n"
        replace_text(file.resolve(), text, mode=file.stat().st_mode & 0o777 if file.exists() else 0o644)
    else:
        file.unlink()
    return True


def _remove_from_json(file: Path) -> bool:
    if not file.is_file():
        return False
    return _change_json(file, lambda servers: {name: value for name, value in servers.items() if name != NAME})


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _run_client(command: list[str], folder: Path, *, expected: tuple[int, ...] = (0,)) -> int:
    """Run a client's own program and return its status; raises `CannotGoOn` with what it said."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CLIENT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise CannotGoOn(
            f"{command[0]} has not ended within {CLIENT_TIMEOUT_S:.0f} s.", "Try again, or --print."
        ) from exc
    if done.returncode not in expected:
        said = ((done.stderr or done.stdout).strip().splitlines() or ["nothing"])[-1]
        raise CannotGoOn(
            f"`{' '.join(command[1:4])}` of {command[0]} failed: {said}", "Or: gatewright install --print."
        )
    return done.returncode


CLIENTS: Mapping[str, Client] = {
    "claude-code": Client(
        ".mcp.json of the project",
        lambda _top: _json("mcpServers", entry={"type": "stdio", **_entry(), "env": {}}),
        _install_claude_code,
        _uninstall_claude_code,
    ),
    "codex": Client("$CODEX_HOME/config.toml", lambda _top: _codex_table(), _install_codex, _uninstall_codex),
    # It starts servers in `/`.
    "claude-desktop": Client(
        "claude_desktop_config.json", lambda top: _json("mcpServers", entry=_entry("--repo", str(top)))
    ),
    "cursor": Client(
        ".cursor/mcp.json of the project", lambda top: _json("mcpServers", entry=_entry("--repo", str(top)))
    ),
    "vscode": Client(
        ".vscode/mcp.json of the project",
        lambda top: _json("servers", entry={"type": "stdio", **_entry("--repo", str(top))}),
    ),
    "gemini": Client(
        ".gemini/settings.json of the project", lambda _top: _json("mcpServers", entry={**_entry(), "trust": True})
    ),
    "opencode": Client(
        "opencode.json of the project",
        lambda _top: _json(
            "mcp", entry={"type": "local", "command": server_command(), "enabled": True, "timeout": 60_000}
        ),
    ),
    "qwen": Client(
        ".qwen/settings.json of the project", lambda _top: _json("mcpServers", entry={**_entry(), "trust": True})
    ),
}
