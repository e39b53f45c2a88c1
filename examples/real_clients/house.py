"""The scratch house of a run: one small repository with gatewright in it, and a home for every client."""

import json
import shutil
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from clients.client import Client, CommandFailed, Setting, gatewright, output_of
from conversation import Action, Conversation, Received
from downloads import WHEELS
from processes import Finished, Scratch
from scripted_model import ScriptedModel, serving
from story import Errand

CLIENT_TIMEOUT_S = 150.0
LANDING_TIMEOUT_S = 60.0
NO_MODEL = "http://127.0.0.1:9"
"""For commands that ask no model: nobody listens there."""
PROJECT = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n\n[tool.ruff.lint]\nselect = ["E", "F"]\n',
    "tally.py": '"""The total."""\n\n\ndef total(numbers: list[float]) -> float:\n    return sum(numbers)\n',
    "tests/test_tally.py": "from tally import total\n\n\ndef test_total() -> None:\n    assert total([1, 2]) == 3\n",
    ".gitignore": "__pycache__/\n",
}
# The set-up that `init` writes runs pip, which takes its settings from the home: the project stays without a network.
PIP_SETTINGS = "[global]\nno-index = true\nfind-links = {wheels}\n"


@dataclass(frozen=True)
class Told:
    """One run of a client, and what its model did and got to read."""

    finished: Finished
    conversation: Conversation
    exchanges: list[tuple[Action, Received]]
    calls: int
    seconds: float
    turned_away: list[str]


@dataclass(frozen=True)
class House:
    """Thread-safe: a client runs once at a time, two clients run beside one another."""

    scratch: Scratch
    gatewright: Path
    _locks: dict[str, threading.Lock] = field(default_factory=dict)

    def setting(self, client: Client, model_url: str = NO_MODEL) -> Setting:
        home = self._home(client.name)
        return Setting(self.scratch, home, self.gatewright, client.package.programs, model_url)

    def person(self, *arguments: str) -> str:
        """gatewright's command line, as the person whose repository it is; CommandFailed when it ends badly."""
        return gatewright(
            Setting(self.scratch, self._home("person"), self.gatewright, Path("/bin"), NO_MODEL), *arguments
        )

    def git(self, *arguments: str) -> str:
        # The scratch home has no git configuration; the machine's may sign commits or bring hooks.
        environment = self.scratch.environment("/usr/local/bin:/usr/bin:/bin", {"GIT_CONFIG_NOSYSTEM": "1"})
        return output_of(["git", *arguments], self.scratch, environment)

    def make_repository(self) -> None:
        """A tiny Python project with gatewright set up in it."""
        shutil.copytree(WHEELS, self.scratch.tools / "wheels")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Real Clients")
        self.git("config", "user.email", "real.clients@example.invalid")
        for path, text in PROJECT.items():
            file = self.scratch.repository / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=A tiny project")
        self.person("init", "--commit")

    def run(self, client: Client, errand: Errand) -> Told:
        """Have the client do the errand, with a scripted model of its own."""
        tell = partial(client.story, errand)
        with (
            self._locks.setdefault(client.name, threading.Lock()),
            serving(ScriptedModel(tell, client.wire, client.hands)) as model,
        ):
            begun = time.monotonic()
            finished = client.run(self.setting(client, model.base_url), errand, timeout_s=CLIENT_TIMEOUT_S)
            seconds = time.monotonic() - begun
        return Told(finished, model.conversation, model.exchanges(), model.calls(), seconds, model.turned_away)

    def find_change(self, title: str) -> str:
        """The name of the newest change with this title; CommandFailed when there is none."""
        changes = json.loads(self.person("status", "--json"))["changes"]
        named = [str(one["change"]) for one in changes if one["title"] == title]
        if not named:
            raise CommandFailed(f"nobody started a change {title!r}: {changes}")
        return named[-1]

    def await_landing(self, change: str) -> None:
        """Wait until the change has landed; CommandFailed when it does not in time."""
        deadline = time.monotonic() + LANDING_TIMEOUT_S
        while '"state": "landed"' not in (status := self.person("status", change, "--json")):
            if time.monotonic() > deadline:
                raise CommandFailed(f"{change} has not landed within {LANDING_TIMEOUT_S:g} s:\n{status}")
            time.sleep(0.2)

    def _home(self, name: str) -> Path:
        home = self.scratch.home(name)
        pip_settings = home / ".config" / "pip" / "pip.conf"
        if not pip_settings.is_file():
            pip_settings.parent.mkdir(parents=True, exist_ok=True)
            pip_settings.write_text(PIP_SETTINGS.format(wheels=(self.scratch.tools / "wheels").as_uri()))
        return home
