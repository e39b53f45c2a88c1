"""The clients themselves: how each is asked for its health, and run without anybody at the keyboard."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from codex_app_server import app_server
from downloads import PROGRAMS
from processes import Finished, Scratch, run

HEALTH_TIMEOUT_S = 60.0
DUMMY_KEY = "not-a-key"
# Without these codex asks for its catalogue of plugins and sends figures at every start.
CODEX_OFFLINE = ["--disable=plugins", "--disable=remote_plugin", "--disable=apps", "-c", "analytics.enabled=false"]


@dataclass(frozen=True)
class Setting:
    """Where a client runs: its folder, gatewright's own folder of programs, and the model it is to talk to."""

    scratch: Scratch
    gatewright: Path
    model_url: str

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """The scrubbed environment; every request that is not for loopback goes to the model, which refuses it."""
        proxy = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), self.model_url)
        folders = [self.gatewright.parent, PROGRAMS, Path(shutil.which("node") or "/").parent]
        path = os.pathsep.join([*map(str, folders), "/usr/local/bin", "/usr/bin", "/bin"])
        return self.scratch.environment(path, {**proxy, "NO_PROXY": "127.0.0.1,localhost", **extra})


class Client(Protocol):
    """One real MCP client."""

    name: str
    """As `gatewright install` calls it."""
    package: str
    program: str

    def environment(self, setting: Setting) -> dict[str, str]: ...

    def health(self, setting: Setting) -> tuple[bool, str]:
        """Whether the client's own listing says that gatewright is connected, and what the listing says."""
        ...

    def run(self, setting: Setting, prompt: str, *, timeout_s: float) -> Finished: ...


class ClaudeCode:
    """`claude -p`, allowed to use gatewright and to write files, and nothing else."""

    name = "claude-code"
    package = "@anthropic-ai/claude-code"
    program = "claude"

    def environment(self, setting: Setting) -> dict[str, str]:
        quiet = dict.fromkeys(("DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING"), "1")
        model = {"ANTHROPIC_BASE_URL": setting.model_url, "ANTHROPIC_API_KEY": DUMMY_KEY}
        return setting.environment({**quiet, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", **model})

    def health(self, setting: Setting) -> tuple[bool, str]:
        listing = _run(self, setting, ["mcp", "list"], HEALTH_TIMEOUT_S).output
        [line] = [line for line in listing.splitlines() if line.startswith("gatewright:")] or [listing]
        return line.endswith("Connected"), line

    def run(self, setting: Setting, prompt: str, *, timeout_s: float) -> Finished:
        allowed = ["--allowedTools", "mcp__gatewright,Write", "--permission-mode", "acceptEdits"]
        return _run(self, setting, ["-p", prompt, *allowed], timeout_s)


class Codex:
    """`codex exec`, its shell in its own sandbox, which may write below the repository."""

    name = "codex"
    package = "@openai/codex"
    program = "codex"

    def environment(self, setting: Setting) -> dict[str, str]:
        home = setting.scratch.home / ".codex"
        home.mkdir(exist_ok=True)
        return setting.environment({"CODEX_HOME": str(home), "MODEL_KEY": DUMMY_KEY})

    def health(self, setting: Setting) -> tuple[bool, str]:
        # `codex mcp list` only reads the configuration; the app server really connects, in a thread's own folder.
        argv = [str(PROGRAMS / self.program), "app-server", *CODEX_OFFLINE, *self._model(setting)]
        folder = setting.scratch.repository
        with app_server(argv, cwd=folder, environment=self.environment(setting), timeout_s=HEALTH_TIMEOUT_S) as ask:
            thread = ask("thread/start", {"cwd": str(folder)}).get("thread", {})
            listing = ask("mcpServerStatus/list", {"threadId": thread.get("id")})
        for server in listing.get("data", []):
            if server["name"] == "gatewright" and server["serverInfo"]:
                return True, f"gatewright: {server['serverInfo']['name']}, {len(server['tools'])} tools"
        return False, json.dumps(listing)

    def run(self, setting: Setting, prompt: str, *, timeout_s: float) -> Finished:
        sandbox = ["--sandbox", "workspace-write"]
        return _run(self, setting, ["exec", *CODEX_OFFLINE, *sandbox, *self._model(setting), prompt], timeout_s)

    def _model(self, setting: Setting) -> list[str]:
        where = f'base_url="{setting.model_url}/v1",wire_api="responses",env_key="MODEL_KEY"'
        provider = f'{{name="scripted",{where},request_max_retries=1,stream_max_retries=1}}'
        return ["-c", "model=scripted", "-c", "model_provider=scripted", "-c", f"model_providers.scripted={provider}"]


CLIENTS: tuple[Client, ...] = (ClaudeCode(), Codex())


def told_version(client: Client, setting: Setting) -> str:
    """What the installed program itself says to `--version`, or why it does not start."""
    return _run(client, setting, ["--version"], HEALTH_TIMEOUT_S).output.strip()


def _run(client: Client, setting: Setting, arguments: list[str], timeout_s: float) -> Finished:
    argv = [str(PROGRAMS / client.program), *arguments]
    environment = client.environment(setting)
    return run(argv, cwd=setting.scratch.repository, environment=environment, timeout_s=timeout_s)
