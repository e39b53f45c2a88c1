"""Claude Code. Shows its model gatewright's tools by name only, until ToolSearch has loaded them."""

import json
from typing import ClassVar

from conversation import WriteFile
from downloads import Npm
from events import JsonObject
from hands import Hands
from models import anthropic_messages
from models.wire import Wire
from processes import Finished, run
from story import Errand

from clients.client import DUMMY_KEY, Client, Setting, gatewright, program, write_json


def _write(file: WriteFile) -> tuple[str, JsonObject]:
    return "Write", {"file_path": file.path, "content": file.text}


class ClaudeCode(Client):
    """`claude -p`, allowed to use gatewright and to write files, and nothing else."""

    name = "claude-code"
    package = Npm("@anthropic-ai/claude-code")
    program = "claude"
    wire: ClassVar[Wire] = anthropic_messages
    hands = Hands("mcp__gatewright__", _write, search="ToolSearch")
    has_hook = True

    def prepare(self, setting: Setting) -> None:
        super().prepare(setting)
        # What it prints for a person to paste.
        printed = gatewright(setting, "install", self.name, "--hooks")
        hooks = json.JSONDecoder().raw_decode(printed, printed.index("{"))[0]
        write_json(setting.home / ".claude" / "settings.json", hooks)

    def health(self, setting: Setting) -> tuple[bool, str]:
        listing = program(self, setting, ["mcp", "list"], **_variables(setting)).output
        [line] = [line for line in listing.splitlines() if line.startswith("gatewright:")] or [listing]
        return line.endswith("Connected"), line

    def run(self, setting: Setting, errand: Errand, *, timeout_s: float) -> Finished:
        allowed = ["--allowedTools", "mcp__gatewright,Write", "--permission-mode", "acceptEdits"]
        argv = [str(setting.programs / self.program), "-p", errand.prompt, *allowed]
        environment = setting.environment(_variables(setting))
        return run(argv, cwd=setting.scratch.repository, environment=environment, timeout_s=timeout_s)


def _variables(setting: Setting) -> dict[str, str]:
    quiet = dict.fromkeys(("DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING"), "1")
    model = {"ANTHROPIC_BASE_URL": setting.model_url, "ANTHROPIC_API_KEY": DUMMY_KEY}
    # Else, on a busy machine, its first turn has no tools of a server that is still starting, and is its last.
    waits = {"MCP_CONNECTION_NONBLOCKING": "false"}
    return {**quiet, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", **model, **waits}
