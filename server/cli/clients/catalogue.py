"""The clients by name: where each keeps its settings, and what it has to be told."""

from collections.abc import Mapping
from pathlib import Path

from .claude_code import ClaudeCode
from .client import Client, JsonObject, entry_of, server_command
from .codex import Codex
from .json_client import JsonClient
from .links import cursor_links, vscode_links
from .places import desktop_file, desktop_name, opencode_file

# Longer than a start under load; progress sets its clock back, so a verdict may take longer.
OPENCODE_TIMEOUT_MS = 60_000

_SHARED = "the file is the project's: commit it only if gatewright is at this path for everybody, or leave it untracked"
_FOLDER = "next: trust this folder when Gemini CLI asks, or start it with --skip-trust; else it starts no server here"
_APPROVAL = "next: qwen mcp approve gatewright (else the server of a project is left out without a word)"
_TRUST = "trust: its tools run without a question each, and are offered at all where nobody can answer"


def _entry_with_repository(top: Path) -> JsonObject:
    return entry_of("--repo", str(top))


CLIENTS: Mapping[str, Client] = {
    "claude-code": ClaudeCode(),
    "codex": Codex(),
    "claude-desktop": JsonClient(
        file="claude_desktop_config.json of Claude Desktop",
        place=desktop_file,
        holder="mcpServers",
        entry=_entry_with_repository,
        about=(
            "--repo: Claude Desktop starts servers in /; each repository has an entry of its own",
            "it has no files: agents there hand in with `files` and look with read_artifact",
        ),
        takes_comments=False,
        name=desktop_name,
    ),
    "cursor": JsonClient(
        file=".cursor/mcp.json of the project",
        place=lambda top: top / ".cursor" / "mcp.json",
        holder="mcpServers",
        entry=_entry_with_repository,
        about=("--repo: Cursor does not say in which folder it starts servers", _SHARED),
        links=cursor_links,
    ),
    "vscode": JsonClient(
        file=".vscode/mcp.json of the project",
        place=lambda top: top / ".vscode" / "mcp.json",
        holder="servers",
        entry=lambda top: {"type": "stdio", **_entry_with_repository(top)},
        about=("--repo: VS Code does not say in which folder it starts servers", _SHARED),
        links=vscode_links,
    ),
    "gemini": JsonClient(
        file=".gemini/settings.json of the project",
        place=lambda top: top / ".gemini" / "settings.json",
        holder="mcpServers",
        entry=lambda _top: entry_of(),
        choices={"trust": True},
        about=(_TRUST, _FOLDER, _SHARED),
    ),
    "opencode": JsonClient(
        file="opencode.json or opencode.jsonc of the project",
        place=opencode_file,
        holder="mcp",
        entry=lambda _top: {"type": "local", "command": server_command()},
        choices={"enabled": True, "timeout": OPENCODE_TIMEOUT_MS},
        about=(f"timeout: {OPENCODE_TIMEOUT_MS // 1000} s to start and between two reports of progress", _SHARED),
    ),
    "qwen": JsonClient(
        file=".qwen/settings.json of the project",
        place=lambda top: top / ".qwen" / "settings.json",
        holder="mcpServers",
        entry=lambda _top: entry_of(),
        choices={"trust": True},
        about=(f"{_TRUST} (qwen -p wants --yolo as well)", _APPROVAL, _SHARED),
    ),
}
