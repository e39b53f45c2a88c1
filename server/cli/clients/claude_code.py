"""Claude Code: told by its own program where there is one, else by the project's file."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..command import CannotGoOn
from .client import NAME, Done, JsonObject, Traces, entry_of, server_command
from .json_client import JsonClient

CLIENT_TIMEOUT_S = 60.0
SCOPE = ("--scope", "local")
ABOUT = (
    "its tools are asked about once each, or not at all: claude --allowedTools mcp__gatewright (claude -p needs that)",
    "an agent that ends its turn with work not handed in: gatewright install claude-code --hooks",
)


def _entry(_top: Path) -> JsonObject:
    return {"type": "stdio", **entry_of()}


PROJECT_FILE = JsonClient(
    file=".mcp.json of the project",
    place=lambda top: top / ".mcp.json",
    holder="mcpServers",
    entry=_entry,
    choices={"env": {}},
    about=("Claude Code asks once whether this project's servers may be started: say yes", *ABOUT),
    takes_comments=False,
)


@dataclass(frozen=True, slots=True)
class ClaudeCode:
    """`claude mcp add`, for this project and this user alone; without the program, `.mcp.json`."""

    file: str = PROJECT_FILE.file
    is_shared: bool = False

    def text(self, top: Path) -> str:
        """The project's file."""
        return PROJECT_FILE.text(top)

    def install(self, top: Path) -> Done:
        """Tell the program, or write the file."""
        claude = shutil.which("claude")
        if claude is None:
            done = PROJECT_FILE.install(top)
            what = f"There is no claude program here, so Claude Code is told by the project's file. {done.what}"
            return Done(what, done.settings, done.links, done.traces)
        # Adding a name that is there is an error to it, and the path may have changed.
        _run([claude, "mcp", "remove", *SCOPE, NAME], top, expected=(0, 1))
        _run([claude, "mcp", "add", *SCOPE, NAME, "--", *server_command()], top)
        return Done("Told Claude Code of gatewright for this project (claude mcp add --scope local).", ABOUT)

    def uninstall(self, top: Path, traces: Traces) -> bool:
        """Take it away from where it may have been put."""
        claude = shutil.which("claude")
        removed = claude is not None and not _run([claude, "mcp", "remove", *SCOPE, NAME], top, expected=(0, 1))
        return PROJECT_FILE.uninstall(top, traces) or removed


def _run(command: list[str], folder: Path, *, expected: tuple[int, ...] = (0,)) -> int:
    """Run the client's own program and return its status; raises `CannotGoOn` with what it said."""
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
        said = f"{command[0]} has not ended within {CLIENT_TIMEOUT_S:.0f} s."
        raise CannotGoOn(said, "Try again, or --print.") from exc
    if done.returncode not in expected:
        said = ((done.stderr or done.stdout).strip().splitlines() or ["nothing"])[-1]
        failed = f"`{' '.join(command[1:4])}` of {command[0]} failed: {said}"
        raise CannotGoOn(failed, "Or: gatewright install --print.")
    return done.returncode
