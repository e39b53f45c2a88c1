"""The command line itself: finding commands, help, exit statuses, no tracebacks."""

import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

import gatewright
from gatewright.server.cli.command import Exit
from gatewright.server.cli.main import COMMANDS

from .conftest import Desk, Ran

Call = Callable[..., Ran]


def test_the_version_is_one_plain_line(call: Call) -> None:
    assert call("--version") == Ran(0, f"gatewright {gatewright.__version__}\n", "")


def test_the_help_names_every_command_with_what_it_does(call: Call) -> None:
    told = call("--help").out

    assert [name for name, command in COMMANDS.items() if f"  {name} " not in told or command.about not in told] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_module_and_tells_its_arguments(call: Call, name: str) -> None:
    module = import_module(f"gatewright.server.cli.{COMMANDS[name].module}")

    told = call(name, "--help")

    assert told.status == 0
    assert told.out.startswith(f"usage: gatewright {name}")
    assert "--repo" in told.out
    assert callable(module.run)


def test_a_misspelt_command_is_met_by_the_nearest_one(call: Call) -> None:
    told = call("stauts")

    assert told.status == Exit.USAGE
    assert "did you mean 'status'?" in told.err


@pytest.mark.parametrize(
    "arguments",
    [("--frob", "status"), ("status", "--frob"), ("release", "c1", "gone"), ("why",), ("wait", "--wait", "inf")],
)
def test_wrong_arguments_are_a_usage_error_in_one_line(call: Call, arguments: tuple[str, ...]) -> None:
    told = call(*arguments)

    assert told.status == Exit.USAGE
    assert told.out == ""
    assert told.err.startswith("gatewright")


@pytest.mark.parametrize("order", [("--repo", "{}", "log", "c9"), ("log", "c9", "--repo", "{}")])
def test_the_repository_is_named_before_or_after_the_command(
    ready: Desk, call: Call, order: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    told = call(*(part.format(ready.top) for part in order), cwd=elsewhere)

    assert told.status == Exit.REFUSED
    assert "There is no change 'c9'" in told.err


def test_a_refusal_is_data_where_data_is_asked_for(desk: Desk, call: Call) -> None:
    told = call("status", "--json")

    assert told.status == Exit.REFUSED
    assert set(told.json) == {"code", "message", "next"}
    assert told.json["code"] == "not_set_up"


def test_a_reader_that_goes_away_is_no_problem(desk: Desk) -> None:
    desk.commit({"a.txt": "a"})
    program = f"{sys.executable} -m gatewright completion bash | true; echo ${{PIPESTATUS[0]}}"

    done = subprocess.run(["bash", "-c", program], cwd=desk.top, capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert done.stdout.strip() in {"0", str(Exit.PIPE_CLOSED)}


@pytest.mark.slow
def test_an_interrupt_ends_a_waiting_command_without_a_traceback(ready: Desk) -> None:
    assert ready.run("status").status == 0  # so that the server is there
    command = [sys.executable, "-X", "faulthandler", "-m", "gatewright", "wait", "--json"]
    waiting = subprocess.Popen(command, cwd=ready.top, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert waiting.stderr is not None
    _until_connected(waiting.pid)

    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=20)

    assert (waiting.returncode, out, err) == (Exit.INTERRUPTED, "", "")


@pytest.mark.slow
def test_nothing_is_coloured_on_a_pipe_and_nothing_where_it_is_not_wanted(ready: Desk) -> None:
    plain = ready.run("check-pipeline")
    coloured = ready.at_terminal("check-pipeline")
    unwanted = ready.at_terminal("check-pipeline", "--no-color")

    assert "\x1b[" not in plain.out
    assert "\x1b[32m" in coloured.out
    assert "\x1b[" not in unwanted.out


@pytest.mark.slow
def test_without_a_command_a_terminal_shows_the_status(ready: Desk) -> None:
    told = ready.at_terminal()

    assert told.status == 0
    assert "No change is under way." in told.out


def _until_connected(pid: int) -> None:
    """Wait until the process has a socket open: then it waits for the server."""
    import time
    from pathlib import Path

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()]
        if any(link.startswith("socket:") for link in links):
            return
        time.sleep(0.01)
    raise AssertionError("the command never reached the server")


def test_a_folder_that_was_removed_under_a_shell_is_told_as_such(tmp_path: Path) -> None:
    """A workspace goes away when its stage has passed, and its agent's shell may still be in it."""
    code = (
        "import os, sys; os.rmdir(os.getcwd()); from gatewright.server.cli.main import main; sys.exit(main(['status']))"
    )
    (tmp_path / "gone").mkdir()

    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "gone", capture_output=True, text=True, check=False
    )

    assert told.returncode == Exit.REFUSED
    assert "The folder that this runs in is gone" in told.stderr
    assert "next: Go back to the repository" in told.stderr
