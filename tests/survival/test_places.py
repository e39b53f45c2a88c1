"""What server, socket and repository lie in may vanish, fill up or be somebody else's: the next call is answered."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewright.server import rendezvous
from gatewright.server.rendezvous import NoServer, open_socket, socket_paths

from ..acceptance.conftest import Repositories
from ..acceptance.house import serving, write_all

if TYPE_CHECKING:
    from ..server.conftest import Machine

NOBODY = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, and give a folder away")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="gw-", dir="/tmp") as name:
        yield Path(name)


# --- where nobody listens


@pytest.mark.parametrize("what", ["nothing", "a file", "a folder", "itself", "a link to nothing", "a path too long"])
def test_a_link_that_leads_to_no_server_is_no_server(short: Path, what: str) -> None:
    state = short / "gatewright"
    state.mkdir()
    (short / "file").write_text("")
    targets = {
        "nothing": short / "gone",
        "a file": short / "file",
        "a folder": short,
        "itself": state / "server.sock",
        "a link to nothing": short / "link",
        "a path too long": short / ("x" * 200),
    }
    (short / "link").symlink_to(short / "gone")
    (state / "server.sock").symlink_to(targets[what])

    assert open_socket(str(short)) is None


@pytest.mark.slow
def test_a_server_starts_over_whatever_lies_where_its_link_should_be(machine: "Machine") -> None:
    state = machine.common_dir / "gatewright"
    state.mkdir()
    (state / "server.sock").write_text("no link")

    client = machine.start()
    client.initialize()

    assert (state / "server.sock").readlink().is_socket()


# --- where the socket may lie


def _first_folder(common_dir: Path) -> Path:
    return Path(next(socket_paths(str(common_dir)))).parent


def test_a_place_that_cannot_be_had_is_passed_over_for_the_next(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, temporary = short / "run", short / "tmp"
    runtime.mkdir()
    temporary.mkdir()
    (runtime / "gatewright").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("TMPDIR", str(temporary))

    assert _first_folder(short / "repo") == temporary / f"gatewright-{os.geteuid()}"


@pytest.mark.parametrize("runtime", [None, "", "relative/path", "/nowhere/at/all"])
def test_without_a_runtime_folder_the_temporary_one_does(
    short: Path, monkeypatch: pytest.MonkeyPatch, runtime: str | None
) -> None:
    monkeypatch.setenv("TMPDIR", str(short))
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    if runtime is not None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)

    assert _first_folder(short / "repo") == short / f"gatewright-{os.geteuid()}"


@as_root
def test_a_folder_that_somebody_else_put_there_first_is_passed_over(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, temporary = short / "run", short / "tmp"
    (runtime / "gatewright").mkdir(parents=True)
    temporary.mkdir()
    os.chown(runtime / "gatewright", NOBODY, NOBODY)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("TMPDIR", str(temporary))

    assert _first_folder(short / "repo") == temporary / f"gatewright-{os.geteuid()}"
    assert list((runtime / "gatewright").iterdir()) == []


def test_with_no_other_place_the_socket_lies_in_the_state_folder(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "_runtime_folders", lambda: [str(short / "file" / "below")])
    (short / "file").write_text("")

    assert _first_folder(short / "repo") == short / "repo" / "gatewright"


def test_with_no_place_at_all_the_first_reason_is_told(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (short / "file").write_text("")
    monkeypatch.setattr(rendezvous, "_runtime_folders", lambda: [str(short / "file" / "below")])

    with pytest.raises(NoServer, match="below cannot be used for the server's socket"):
        next(socket_paths(str(short / "file" / "repo")))


@pytest.mark.slow
@as_root
@pytest.mark.parametrize("options", ["size=64k,nr_inodes=2", "size=64k,ro"], ids=["full", "read-only"])
def test_a_runtime_folder_that_is_full_or_read_only_keeps_nobody_from_a_server(
    machine: "Machine", short: Path, options: str
) -> None:
    runtime, temporary = short / "run", short / "tmp"
    temporary.mkdir()
    with _mounted(runtime, options):
        client = machine.start(XDG_RUNTIME_DIR=str(runtime), TMPDIR=str(temporary))
        client.initialize()
        other = machine.start()
        other.initialize()
        for who in (client, other):
            who.call(1, "echo")

        assert client.result_of(1)["server"] == other.result_of(1)["server"]
        assert (machine.common_dir / "gatewright" / "server.sock").readlink().is_relative_to(temporary)
        machine.clear()


@contextlib.contextmanager
def _mounted(folder: Path, options: str) -> Generator[None]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# --- a repository that goes away under a client


@pytest.mark.slow
def test_a_repository_that_moves_is_served_where_it_is_now(machine: "Machine") -> None:
    client = machine.start()
    client.initialize()
    first = machine.servers()[0]

    machine.repository.rename(machine.folder / "moved")
    machine.until(lambda: not machine.is_alive(first))
    client.call(1, "echo")

    assert client.result_of(1)["server"] == machine.servers()[1]
    assert (machine.folder / "moved/.git/gatewright/server.sock").readlink().is_socket()
    assert not machine.repository.exists(), "a server made the old folder anew"


@pytest.mark.slow
@pytest.mark.anyio
async def test_work_in_a_workspace_is_handed_in_after_the_repository_has_moved(make: Repositories) -> None:
    """git knew the workspace by a path that led nowhere, and it was put aside for a new one, without the work."""
    repository = make()
    async with serving(repository, has_engine=False) as desk, desk.agent("ada") as ada:
        brief = await ada.claim(await ada.start())
    write_all(Path(brief["workspace"]), {"a.txt": "a"})
    moved = repository.path.with_name("moved")
    repository.path.rename(moved)
    repository.path = moved

    async with serving(repository) as server, server.agent("ada") as ada:
        verdict = await ada.get("submit_artifact", lease=brief["lease"], summary="Work.")
        again = await ada.refused("claim_stage", agent="ada", change="c1", stage="code")
        await server.landed("c1")

    assert verdict["outcome"] == "passed"
    assert again in {"stage_passed", "change_landing", "change_over"}
    assert "a.txt" in repository.files()


@pytest.mark.slow
def test_a_repository_that_moves_in_the_middle_of_a_call_answers_that_call(machine: "Machine") -> None:
    client = machine.start()
    client.initialize()
    client.call(1, "slow")
    machine.until(lambda: machine.lines("begun"))

    machine.repository.rename(machine.folder / "moved")
    machine.until(lambda: not machine.is_alive(machine.servers()[0]))
    machine.make("release")

    assert client.result_of(1)["server"] == machine.servers()[1]
    assert len(machine.lines("effects")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("named", [False, True], ids=["working folder", "--repo"])
def test_a_repository_that_is_deleted_is_told_and_its_server_leaves(machine: "Machine", named: bool) -> None:
    client = machine.start("bridge", str(machine.repository), cwd=Path("/")) if named else machine.start()
    client.initialize()
    socket = (machine.common_dir / "gatewright" / "server.sock").readlink()

    shutil.rmtree(machine.repository)
    machine.until(lambda: not machine.is_alive(machine.servers()[0]))
    client.call(1, "echo")
    refused = client.reply_to(1)

    assert "start gatewright with `--repo PATH`" in refused["error"]["message"]
    assert not socket.exists()
    assert not machine.repository.exists()
    assert len(machine.servers()) == 1
    assert client.close_and_wait()[0] == 0


@pytest.mark.slow
def test_a_state_folder_that_is_deleted_is_left_by_the_server_that_wrote_to_it(machine: "Machine") -> None:
    """What it goes on writing would be gone with the file that nobody can open any more."""
    client = machine.start()
    client.initialize()
    first = machine.servers()[0]

    shutil.rmtree(machine.common_dir / "gatewright")
    machine.until(lambda: not machine.is_alive(first))
    client.call(1, "echo")

    assert client.result_of(1)["server"] == machine.servers()[1]
    assert (machine.common_dir / "gatewright" / "server.sock").readlink().is_socket()
