"""Qwen Code. Lists gatewright's tools by name; a deferred one is called through another tool, `tool_call`."""

from typing import ClassVar

from conversation import WriteFile
from downloads import Npm
from events import JsonObject
from hands import Hands
from models import openai_chat
from models.wire import Wire
from processes import Finished, run
from scripted_model import MODEL
from story import Errand

from clients.client import DUMMY_KEY, Client, CommandFailed, Setting, program, write_json


def _write(file: WriteFile) -> tuple[str, JsonObject]:
    return "write_file", {"file_path": file.path, "content": file.text}


class Qwen(Client):
    """`qwen -p --yolo`: without it nothing is written or called when nobody is asked."""

    name = "qwen"
    package = Npm("@qwen-code/qwen-code")
    program = "qwen"
    wire: ClassVar[Wire] = openai_chat
    hands = Hands("mcp__gatewright__", _write, search="tool_search", caller="tool_call")

    def prepare(self, setting: Setting) -> None:
        # It would ask its model for things to remember after every run, and send figures.
        quiet = {"privacy": {"usageStatisticsEnabled": False}, "memory": {"enableManagedAutoMemory": False}}
        write_json(setting.home / ".qwen" / "settings.json", quiet)
        super().prepare(setting)
        # A project's servers wait for a person's yes, which is kept for these very settings of the server.
        approved = program(self, setting, ["mcp", "approve", "gatewright"])
        if approved.returncode != 0:
            raise CommandFailed(f"qwen mcp approve ended with {approved.returncode}:\n{approved.output}")

    def health(self, setting: Setting) -> tuple[bool, str]:
        listing = program(self, setting, ["mcp", "list"]).output
        [line] = [line for line in listing.splitlines() if "gatewright:" in line] or [listing]
        return line.endswith("Connected"), line

    def run(self, setting: Setting, errand: Errand, *, timeout_s: float) -> Finished:
        model = {"OPENAI_API_KEY": DUMMY_KEY, "OPENAI_BASE_URL": f"{setting.model_url}/v1", "OPENAI_MODEL": MODEL}
        argv = [str(setting.programs / self.program), "--yolo", "--prompt", errand.prompt]
        environment = setting.environment({**model, "QWEN_CODE_SUPPRESS_YOLO_WARNING": "1"})
        return run(argv, cwd=setting.scratch.repository, environment=environment, timeout_s=timeout_s)
