"""aider, which speaks no MCP: `gatewright run-aider` gives it the brief and hands in after each of its edits."""

import json
from collections.abc import Mapping
from typing import ClassVar

from conversation import Say, Telling
from downloads import Pip
from hands import Hands
from models import openai_chat
from models.wire import Wire
from processes import Finished, run
from scripted_model import MODEL, SIDE_MODEL
from story import PLAN, RIGHT_CODE, WRONG_CODE, Errand, Leg, plan_path

from clients.client import DUMMY_KEY, Client, Setting, gatewright, program, write_json


class Aider(Client):
    """`gatewright run-aider`; a person starts the change, because aider's model has no tools."""

    name = "aider"
    package = Pip("aider-chat")
    program = "aider"
    wire: ClassVar[Wire] = openai_chat
    hands = Hands("", None)

    def prepare(self, setting: Setting) -> None:
        """Nothing is to be plugged in: gatewright starts aider, not aider gatewright."""
        # Prices of models: it fetches a list of them unless it has a recent one.
        write_json(setting.home / ".aider" / "caches" / "model_prices_and_context_window.json", {MODEL: {}})

    def health(self, setting: Setting) -> tuple[bool, str]:
        finished = program(self, setting, ["--version"])
        return finished.returncode == 0, finished.output

    def story(self, errand: Errand) -> Telling:
        if errand.leg is Leg.PLAN:
            yield from ()
            # It takes the path from its brief, where the model would read it.
            return _edits({plan_path(errand.change): PLAN})
        yield Say(_edits({errand.task.code_path: WRONG_CODE, errand.task.tests_path: errand.task.tests}))
        return _edits({errand.task.code_path: RIGHT_CODE})

    def run(self, setting: Setting, errand: Errand, *, timeout_s: float) -> Finished:
        models = f"--model openai/{MODEL} --weak-model openai/{SIDE_MODEL} --edit-format whole"
        quiet = "--no-analytics --no-show-model-warnings --no-show-release-notes --map-tokens 0 --no-detect-urls"
        options = ["--agent", errand.agent, "--aider", str(setting.programs / self.program)]
        argv = [str(setting.gatewright), "run-aider", errand.change, errand.leg, *options]
        model = {"OPENAI_API_KEY": DUMMY_KEY, "OPENAI_API_BASE": f"{setting.model_url}/v1"}
        # The same list, of a library of its own.
        environment = setting.environment({**model, "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
        argv.append(f"--arguments={models} {quiet}")
        return run(argv, cwd=setting.scratch.repository, environment=environment, timeout_s=timeout_s)


def start_change(setting: Setting, errand: Errand) -> str:
    """Start the errand's change on the command line, for a client without tools; returns its name."""
    title, intent = errand.task.title, "Offer mean() beside total()."
    started: dict[str, str] = json.loads(gatewright(setting, "start", title, "--intent", intent, "--json"))
    return started["change"]


def _edits(files: Mapping[str, str]) -> str:
    """The files as aider's model hands them in: each whole, behind its name."""
    return "\n".join(["Here they are.", *(f"\n{path}\n```\n{text}```" for path, text in files.items())])
