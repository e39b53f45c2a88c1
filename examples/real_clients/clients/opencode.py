"""opencode. Shows its model the text of a result; its home says which model it talks to."""

from collections.abc import Mapping
from typing import ClassVar

from conversation import WriteFile
from downloads import Npm
from events import JsonObject
from hands import Hands
from models import openai_chat
from models.wire import Wire
from processes import Finished, run
from scripted_model import MODEL, SIDE_MODEL
from story import Errand

from clients.client import DUMMY_KEY, Client, Setting, program, write_json


def _write(file: WriteFile) -> tuple[str, JsonObject]:
    return "write", {"filePath": file.path, "content": file.text}


class OpenCode(Client):
    """`opencode run`, which asks nobody by default."""

    name = "opencode"
    package = Npm("opencode-ai")
    program = "opencode"
    wire: ClassVar[Wire] = openai_chat
    hands = Hands("gatewright_", _write)
    # In the background of every start.
    asks_for: ClassVar[Mapping[str, str]] = {r"registry\.": "its plug-ins' package on npm"}

    def health(self, setting: Setting) -> tuple[bool, str]:
        _write_settings(setting)
        listing = program(self, setting, ["mcp", "list"], **_variables()).output
        [line] = [line for line in listing.splitlines() if "gatewright " in line] or [listing]
        return "connected" in line, line

    def run(self, setting: Setting, errand: Errand, *, timeout_s: float) -> Finished:
        _write_settings(setting)
        argv = [str(setting.programs / self.program), "run", errand.prompt]
        environment = setting.environment(_variables())
        return run(argv, cwd=setting.scratch.repository, environment=environment, timeout_s=timeout_s)


def _write_settings(setting: Setting) -> None:
    """The model's address differs from run to run."""
    limit = {"context": 200_000, "output": 8_000}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{setting.model_url}/v1", "apiKey": DUMMY_KEY},
        "models": {name: {"name": name, "limit": limit} for name in (MODEL, SIDE_MODEL)},
    }
    models = {"model": f"scripted/{MODEL}", "small_model": f"scripted/{SIDE_MODEL}"}
    quiet = {"autoupdate": False, "share": "disabled"}
    file = setting.home / ".config" / "opencode" / "opencode.json"
    write_json(file, {"provider": {"scripted": provider}, **models, **quiet})


def _variables() -> dict[str, str]:
    return {"OPENCODE_DISABLE_MODELS_FETCH": "1"}
