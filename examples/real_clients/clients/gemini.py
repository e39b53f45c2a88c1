"""Gemini CLI. Adds an argument of its own to every tool, and shows its model the text of a result."""

from typing import ClassVar

from conversation import WriteFile
from downloads import Npm
from events import JsonObject
from hands import Hands
from models import gemini
from models.wire import Wire
from processes import Finished, run
from scripted_model import MODEL
from story import Errand

from clients.client import DUMMY_KEY, Client, Setting, program, write_json


def _write(file: WriteFile) -> tuple[str, JsonObject]:
    return "write_file", {"file_path": file.path, "content": file.text}


class Gemini(Client):
    """`gemini -p`, allowed to edit files; gatewright's tools are trusted by what `install` writes."""

    name = "gemini"
    package = Npm("@google/gemini-cli")
    program = "gemini"
    wire: ClassVar[Wire] = gemini
    hands = Hands("mcp_gatewright_", _write, extra={"wait_for_previous": True})

    def prepare(self, setting: Setting) -> None:
        # A base URL alone is taken for a gateway with a login of its own.
        auth, quiet = {"auth": {"selectedType": "gemini-api-key"}}, {"usageStatisticsEnabled": False}
        write_json(setting.home / ".gemini" / "settings.json", {"security": auth, "privacy": quiet})
        super().prepare(setting)

    def health(self, setting: Setting) -> tuple[bool, str]:
        listing = program(self, setting, ["mcp", "list"], **_variables(setting)).output
        [line] = [line for line in listing.splitlines() if "gatewright:" in line] or [listing]
        return line.endswith("Connected"), line

    def run(self, setting: Setting, errand: Errand, *, timeout_s: float) -> Finished:
        options = ["--model", MODEL, "--approval-mode", "auto_edit"]
        argv = [str(setting.programs / self.program), *options, "--prompt", errand.prompt]
        environment = setting.environment(_variables(setting))
        return run(argv, cwd=setting.scratch.repository, environment=environment, timeout_s=timeout_s)


def _variables(setting: Setting) -> dict[str, str]:
    # In a folder that no person has trusted it starts no server, not even those of its home.
    trust = {"GEMINI_CLI_TRUST_WORKSPACE": "true"}
    return {**trust, "GEMINI_API_KEY": DUMMY_KEY, "GOOGLE_GEMINI_BASE_URL": setting.model_url}
