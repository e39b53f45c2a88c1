"""Codex. Offers an MCP server as a namespace of tools, and writes files through its shell, in its own sandbox."""

import json
import shlex
from typing import ClassVar

from conversation import WriteFile
from downloads import Npm
from events import JsonObject
from hands import Hands
from models import openai_responses
from models.wire import Wire
from processes import Finished, run
from story import Errand

from clients.client import DUMMY_KEY, HEALTH_TIMEOUT_S, Client, Setting
from clients.codex_app_server import app_server

# Without these it asks for its catalogue of plugins and sends figures at every start.
OFFLINE = ["--disable=plugins", "--disable=remote_plugin", "--disable=apps", "-c", "analytics.enabled=false"]


def _write(file: WriteFile) -> tuple[str, JsonObject]:
    where = shlex.quote(file.path)
    command = f"mkdir -p $(dirname {where}) && printf %s {shlex.quote(file.text)} > {where} && echo written"
    return "exec_command", {"cmd": command, "login": False}


class Codex(Client):
    """`codex exec`, its shell in its own sandbox, which may write below the repository."""

    name = "codex"
    package = Npm("@openai/codex")
    program = "codex"
    wire: ClassVar[Wire] = openai_responses
    hands = Hands("", _write, namespace="mcp__gatewright")

    def prepare(self, setting: Setting) -> None:
        (setting.home / ".codex").mkdir(exist_ok=True)
        super().prepare(setting)

    def health(self, setting: Setting) -> tuple[bool, str]:
        # `codex mcp list` only reads the configuration; the app server really connects, in a thread's own folder.
        argv = [str(setting.programs / self.program), "app-server", *OFFLINE, *_model(setting)]
        folder, environment = setting.scratch.repository, setting.environment({"MODEL_KEY": DUMMY_KEY})
        with app_server(argv, cwd=folder, environment=environment, timeout_s=HEALTH_TIMEOUT_S) as ask:
            thread = ask("thread/start", {"cwd": str(folder)}).get("thread", {})
            listing = ask("mcpServerStatus/list", {"threadId": thread.get("id")})
        for server in listing.get("data", []):
            if server["name"] == "gatewright" and server["serverInfo"]:
                return True, f"gatewright: {server['serverInfo']['name']}, {len(server['tools'])} tools"
        return False, json.dumps(listing)

    def run(self, setting: Setting, errand: Errand, *, timeout_s: float) -> Finished:
        options = [*OFFLINE, "--sandbox", "workspace-write", *_model(setting)]
        argv = [str(setting.programs / self.program), "exec", *options, errand.prompt]
        environment = setting.environment({"MODEL_KEY": DUMMY_KEY})
        return run(argv, cwd=setting.scratch.repository, environment=environment, timeout_s=timeout_s)


def _model(setting: Setting) -> list[str]:
    where = f'base_url="{setting.model_url}/v1",wire_api="responses",env_key="MODEL_KEY"'
    provider = f'{{name="scripted",{where},request_max_retries=1,stream_max_retries=1}}'
    return ["-c", "model=scripted", "-c", "model_provider=scripted", "-c", f"model_providers.scripted={provider}"]
