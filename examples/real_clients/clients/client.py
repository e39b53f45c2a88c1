"""What every client is to the example: how it is fetched, plugged in, asked for its health, and run unattended."""

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from conversation import Telling
from downloads import Package
from hands import Hands
from models.wire import Wire
from processes import Finished, Scratch, run
from story import Errand

DUMMY_KEY = "not-a-key"
HEALTH_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Setting:
    """Where a client runs: the shared folders, its own home, gatewright's program, and the model it is to talk to."""

    scratch: Scratch
    home: Path
    gatewright: Path
    programs: Path
    model_url: str

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The scrubbed environment; every request that is not for loopback goes to the model, which refuses it."""
        proxy = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), self.model_url)
        folders = [
            self.programs,
            self.gatewright.parent,
            self.scratch.tools / "bin",
            Path(shutil.which("node") or "/").parent,
        ]
        path = os.pathsep.join([*map(str, folders), "/usr/local/bin", "/usr/bin", "/bin"])
        return self.scratch.environment(
            path, {"HOME": str(self.home), **proxy, "NO_PROXY": "127.0.0.1,localhost", **(extra or {})}
        )


class CommandFailed(Exception):
    """A command that everything else stands on ended badly; says which, and what it printed."""


class Client(ABC):
    """One real client."""

    name: ClassVar[str]
    """As `gatewright install` calls it, where it does."""
    package: ClassVar[Package]
    program: ClassVar[str]
    wire: ClassVar[Wire]
    hands: ClassVar[Hands]
    asks_for: ClassVar[Mapping[str, str]] = {}
    """What it asks the network for whatever its settings, and does without: a pattern of the address, and the words."""
    has_hook: ClassVar[bool] = False
    """Whether `prepare` gives it a hook that sends a model back to an unsubmitted lease."""

    def prepare(self, setting: Setting) -> None:
        """Write the settings of its home, and plug gatewright in; CommandFailed when that does not work."""
        gatewright(setting, "install", self.name)

    @abstractmethod
    def health(self, setting: Setting) -> tuple[bool, str]:
        """Whether the client's own listing says that gatewright is connected, and what the listing says."""

    def story(self, errand: Errand) -> Telling:
        """What its model does about the errand."""
        return errand.tell()

    @abstractmethod
    def run(self, setting: Setting, errand: Errand, *, timeout_s: float) -> Finished:
        """Have it do the errand, without a person."""


def program(client: Client, setting: Setting, arguments: list[str], **more: str) -> Finished:
    """Run the client itself, for a question that it answers at once."""
    argv = [str(setting.programs / client.program), *arguments]
    folder = setting.scratch.repository
    return run(argv, cwd=folder, environment=setting.environment(more), timeout_s=HEALTH_TIMEOUT_S)


def told_version(client: Client, setting: Setting) -> str:
    """What the installed program itself says to `--version`, or why it does not start."""
    return program(client, setting, ["--version"]).output.strip()


def gatewright(setting: Setting, *arguments: str) -> str:
    """What gatewright's command line printed; CommandFailed unless it ended well."""
    return output_of([str(setting.gatewright), *arguments], setting.scratch, setting.environment())


def output_of(argv: list[str], scratch: Scratch, environment: Mapping[str, str]) -> str:
    """What the command printed; CommandFailed unless it ended well and in time."""
    finished = run(argv, cwd=scratch.repository, environment=environment, timeout_s=COMMAND_TIMEOUT_S)
    if finished.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)} ended with {finished.returncode}:\n{finished.output}")
    return finished.output


def write_json(file: Path, value: object) -> None:
    """Write settings, with the folder that they belong in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=2))
