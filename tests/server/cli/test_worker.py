"""`gatewright worker` before it works: what it refuses, and how it hides what it was given."""

import os
from pathlib import Path

import pytest

from gatewright.server.cli import handing
from gatewright.server.cli.main import main
from gatewright.server.cli.team import Team

URL = "postgresql://ann:hunter2@db.example.org/gatewright"
OPTIONS = ["worker", "--remote", "file:///nowhere", "--state", "state"]


class Started(Exception):
    """Another program took this one's place."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.command = command
        self.environment = environment


@pytest.fixture(autouse=True)
def no_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    def execve(_: str, command: list[str], environment: dict[str, str]) -> None:
        raise Started(command, environment)

    monkeypatch.setattr(os, "execve", execve)


def test_it_starts_itself_again_with_the_address_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWRIGHT_DATABASE_URL", URL)

    with pytest.raises(Started) as started:
        main([*OPTIONS, "--labels", "gpu,big", "--slots", "3", "--drain", "5"])

    again = started.value
    assert "hunter2" not in repr(again.command) + repr(again.environment)
    assert again.command[again.command.index("worker") + 1 :] == [
        *("--slots", "3", "--drain", "5.0", "--labels", "big,gpu", "--log-format", "text"),
    ]
    monkeypatch.setenv(handing.HANDED, again.environment[handing.HANDED])
    assert handing.handed_team() == Team(URL, "file:///nowhere", Path("state").absolute())
    assert handing.HANDED not in os.environ


def test_what_opens_the_remote_is_hidden_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"DATABASE_URL": URL, "REMOTE": "https://ann:hunter2@git.example.org/shop.git", "STATE": "state"}
    for name, value in variables.items():
        monkeypatch.setenv(f"GATEWRIGHT_{name}", value)

    with pytest.raises(Started) as started:
        main(["worker"])

    assert "hunter2" not in repr(started.value.command) + repr(started.value.environment)
    os.close(int(started.value.environment[handing.HANDED]))


def test_an_address_from_the_option_is_hidden_as_well() -> None:
    with pytest.raises(Started) as started:
        main([*OPTIONS, "--database-url", URL])

    assert "hunter2" not in repr(started.value.command)
    os.close(int(started.value.environment[handing.HANDED]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--labels", "GPU"], "labels"),
        (["--labels", "a,b,c,d,e,f,g"], "up to 6 labels"),
        (["--slots", "0"], "no number"),
        (["--slots", "many"], "no number"),
        (["--drain", "-1"], "no number of seconds"),
        ([], "--database-url"),
    ],
)
def test_what_it_cannot_work_with_is_refused_in_a_sentence(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*OPTIONS, *options]) == 2
    assert said in capsys.readouterr().err
