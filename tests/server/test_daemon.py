"""The repository's server: whom it serves, where it is met, how it makes room and when it leaves."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
import pytest
from mcp.client.client import Client as SdkClient
from mcp.client.stdio import StdioServerParameters, stdio_client

from gatewright.server import reach, rendezvous
from gatewright.server.client import CallFailed, call_tool
from gatewright.server.process import Starter
from gatewright.server.reach import Greeting, older, reach_server, server_environment
from gatewright.server.rendezvous import NoServer, find_common_dir, make_private_folder, new_socket_path

if TYPE_CHECKING:
    from tests.server.conftest import Machine

NOBODY = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


# --- leaving


@pytest.mark.slow
def test_a_server_without_clients_and_work_leaves_and_takes_its_socket_away(machine: "Machine") -> None:
    machine.make("busy")
    client = machine.start(GATEWRIGHT_IDLE_S="0.2")
    client.initialize()
    link = _link(machine)
    path = link.readlink()
    client.close_and_wait()
    asked = len(machine.lines("asked"))
    machine.until(lambda: len(machine.lines("asked")) > asked + 3)
    assert machine.is_alive(machine.servers()[0])

    (machine.meeting / "busy").unlink()

    machine.until(lambda: not machine.is_alive(machine.servers()[0]))
    assert len(machine.servers()) == 1
    assert not path.exists()
    assert not link.is_symlink()


@pytest.mark.slow
def test_a_server_that_is_told_to_end_drains_and_the_next_request_finds_a_new_one(machine: "Machine") -> None:
    client = machine.start()
    client.initialize()
    first = machine.servers()[0]

    os.kill(first, signal.SIGTERM)
    machine.until(lambda: not machine.is_alive(first))
    assert not _link(machine).is_symlink()
    client.call(1, "echo")

    assert client.result_of(1)["server"] == machine.servers()[1]
    assert machine.lines("drained") == [str(first)]


@pytest.mark.slow
def test_a_newer_client_replaces_an_older_server_and_its_clients_are_sent_on(machine: "Machine") -> None:
    """Were they kept, their submissions would wait for a server that judges nothing any more."""
    running = machine.start(version="1.9.0")
    running.initialize()
    running.call(0, "slow", text="under way")
    machine.until(lambda: machine.lines("begun"))
    newer = machine.start(version="1.10.0")
    newer.initialize()
    older_one = machine.start(version="1.9.0")
    older_one.initialize()
    machine.make("release")

    under_way = running.result_of(0)
    for client in (running, newer, older_one):
        client.call(1, "echo")
    answered_by = {client.result_of(1)["server"] for client in (running, newer, older_one)}

    first, second = machine.servers()
    assert answered_by == {second}, "an older client must not replace a newer server in turn"
    assert (under_way["server"], under_way["text"]) == (second, "under way")
    assert len(machine.lines("effects")) == 4
    assert machine.lines("drained") == [str(first)]
    machine.until(lambda: not machine.is_alive(first))
    assert _link(machine).readlink().is_socket(), "the older server took the newer one's socket away"


@pytest.mark.slow
def test_a_newer_release_that_cannot_start_takes_nothing_from_the_older_one(machine: "Machine") -> None:
    """A half-way upgrade must not end the server that works."""
    running = machine.start(version="1.0.0")
    running.initialize()
    machine.make("problem", "This release is broken.")
    newer = machine.start(version="1.1.0")

    newer.call(1, "echo")
    refused = newer.reply_to(1)
    running.call(1, "echo")

    assert "This release is broken." in refused["error"]["message"]
    assert running.result_of(1)["server"] == machine.servers()[0]
    assert not machine.lines("drained")


@pytest.mark.slow
def test_a_server_judges_to_the_end_before_a_newer_one_replaces_it(machine: "Machine") -> None:
    machine.make("busy")
    machine.start(version="1.0.0").initialize()
    machine.start(version="1.1.0").initialize()
    first = machine.servers()[0]
    asked = len(machine.lines("asked"))
    machine.until(lambda: len(machine.lines("asked")) > asked + 3)
    assert machine.is_alive(first)

    (machine.meeting / "busy").unlink()

    machine.until(lambda: not machine.is_alive(first))
    assert len(machine.servers()) == 2


@pytest.mark.slow
def test_other_code_under_the_same_version_replaces_a_server_at_the_next_newcomer(machine: "Machine") -> None:
    """A server imports on demand, and would mix the code that it has with the code that lies there now."""
    running = machine.start()
    running.initialize()
    machine.make("code", "reinstalled")

    newcomer = machine.start()
    newcomer.initialize()
    for client in (running, newcomer):
        client.call(1, "echo")
    answered_by = [client.result_of(1)["server"] for client in (running, newcomer)]

    assert answered_by == [machine.servers()[1]] * 2
    machine.until(lambda: not machine.is_alive(machine.servers()[0]))


# --- meeting


@pytest.mark.slow
def test_a_copied_repository_does_not_reach_the_server_of_the_original(machine: "Machine") -> None:
    original = machine.start()
    original.initialize()
    shutil.copytree(machine.repository, machine.folder / "copy", symlinks=True)

    copy = machine.start(cwd=machine.folder / "copy")
    copy.initialize()

    for client in (original, copy):
        client.call(1, "echo")
    assert [original.result_of(1)["server"], copy.result_of(1)["server"]] == machine.servers()


def test_the_socket_is_closed_to_other_users(machine: "Machine") -> None:
    machine.start().initialize()

    path = _link(machine).readlink()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((machine.common_dir / "gatewright").stat().st_mode) == 0o700


@as_root
def test_a_socket_of_another_user_is_not_talked_to(machine: "Machine") -> None:
    """Whoever can write the link could otherwise read every message of the client."""
    path = machine.folder / "trap"
    (machine.common_dir / "gatewright").mkdir()
    with socket.socket(socket.AF_UNIX) as trap:
        trap.bind(str(path))
        # The kernel names the user who called listen().
        listen = f"import os, socket; s = socket.socket(fileno={trap.fileno()}); os.setuid({NOBODY}); s.listen()"
        command = [sys.executable, "-I", "-S", "-c", f"{listen}; print(flush=True); input()"]
        listener = subprocess.Popen(command, pass_fds=[trap.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with listener:
            assert listener.stdout is not None
            assert listener.stdout.readline()
            _link(machine).symlink_to(path)

            assert rendezvous.open_socket(str(machine.common_dir)) is None
            listener.terminate()


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert rendezvous.peer_uid(ours) == os.geteuid()


def test_a_runtime_folder_of_another_user_or_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(NoServer, match="belongs to another user or is a link"):
        make_private_folder(str(tmp_path / "link"))

    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    with pytest.raises(NoServer, match="set XDG_RUNTIME_DIR"):
        make_private_folder(str(tmp_path))


def test_a_runtime_folder_that_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    make_private_folder(str(tmp_path))

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_runtime_folder_that_is_too_long_for_sockets_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    monkeypatch.setenv("TMPDIR", str(deep))

    assert new_socket_path("/repository/.git").startswith(f"/tmp/gatewright-{os.geteuid()}/")


def test_the_common_folder_is_found_from_everywhere_in_a_repository(machine: "Machine") -> None:
    deep = machine.repository / "a" / "b"
    deep.mkdir(parents=True)
    linked = machine.folder / "linked"
    machine.git("worktree", "add", "-q", str(linked))
    bare = machine.folder / "bare.git"
    machine.git("clone", "-q", "--bare", ".", str(bare))
    (machine.folder / "way").symlink_to(deep)

    found = {find_common_dir(str(place)) for place in (machine.repository, deep, linked, machine.folder / "way")}

    assert found == {str(machine.common_dir)}
    assert find_common_dir(str(machine.common_dir / "refs")) == str(machine.common_dir)
    assert find_common_dir(str(machine.common_dir / "worktrees" / "linked")) == str(machine.common_dir)
    assert find_common_dir(str(bare)) == str(bare.resolve())


@pytest.mark.parametrize("content", ["gitdir: /nowhere", "", "nonsense", "gitdir: ."])
def test_a_worktree_whose_git_folder_is_gone_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / ".git").write_text(content)

    with pytest.raises(NoServer, match="git worktree repair"):
        find_common_dir(str(tmp_path))


def test_a_mistyped_folder_is_not_taken_for_the_repository_around_it(machine: "Machine") -> None:
    with pytest.raises(NoServer, match="There is no folder"):
        find_common_dir(str(machine.repository / "mistyped"))


# --- starting


@pytest.mark.slow
def test_the_server_gets_an_environment_folder_and_session_of_its_own(machine: "Machine") -> None:
    client = machine.start(ANTHROPIC_API_KEY="sk-secret", GITHUB_TOKEN="ghp-secret", PYTHONPATH=str(machine.repository))
    client.initialize()
    pid = machine.servers()[0]

    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")

    assert {line.split(b"=")[0] for line in environment} & {b"PATH", b"HOME"} == {b"PATH", b"HOME"}
    assert not [line for line in environment if b"secret" in line or b"PYTHONPATH" in line]
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    assert os.getsid(pid) != os.getsid(client.process.pid)
    assert (machine.common_dir / "gatewright" / "server.pid").read_text() == f"{pid}\n"


def test_only_what_server_and_setup_need_passes() -> None:
    kept = {
        "PATH": "p",
        "LC_ALL": "C",
        "https_proxy": "x",
        "PIP_INDEX_URL": "x",
        "npm_config_cache": "x",
        "UV_CACHE_DIR": "c",
    }
    dropped = {
        "ANTHROPIC_API_KEY": "x",
        "PYTHONSTARTUP": "x",
        "GIT_DIR": "x",
        "UV_PUBLISH_TOKEN": "x",
        "LD_PRELOAD": "x",
    }

    assert server_environment({**kept, **dropped}) == kept


def test_a_server_that_dies_while_it_starts_is_told_with_its_log(machine: "Machine") -> None:
    command = [sys.executable, "-c", "import sys; print('out of luck', file=sys.stderr)"]

    with pytest.raises(NoServer, match=r"ended while it started: see .*server\.log"):
        reach._start_and_greet(Greeting(str(machine.common_dir), connection="c"), command)

    assert "out of luck" in (machine.common_dir / "gatewright" / "server.log").read_text()


def test_a_log_that_has_grown_is_put_aside_at_the_next_start(machine: "Machine", tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_bytes(b"x" * (reach.LOG_BYTES_MAX + 1))

    os.close(reach._open_log(str(log)))

    assert log.stat().st_size == 0
    assert (tmp_path / "server.log.1").stat().st_size == reach.LOG_BYTES_MAX + 1


@pytest.mark.parametrize(
    ("version", "than", "is_older"),
    [("0.9.0", "0.10.0", True), ("0.10.0", "0.9.0", False), ("1.0.0", "1.0.0", False), ("1.0", "1.0.1", True)],
)
def test_versions_are_compared_by_number(version: str, than: str, is_older: bool) -> None:
    assert older(version, than) is is_older


# --- talking


def test_who_does_not_greet_is_sent_away_and_the_server_goes_on(machine: "Machine") -> None:
    client = machine.start()
    client.initialize()
    greeting = json.loads(Greeting(str(machine.common_dir), connection="c").line())
    lines = [b"no greeting", b"{}", b"x" * 100_000, b"[" * 100_000]
    lines += [json.dumps({**greeting, name: value}).encode() for name, value in _WRONG_GREETINGS]

    answers = [_greet_raw(machine, line) for line in lines]
    client.call(1, "echo", text="unharmed")

    assert [answer["ok"] for answer in answers] == [False] * len(lines)
    assert client.result_of(1)["text"] == "unharmed"
    assert not machine.lines("drained")


@pytest.mark.slow
def test_a_server_whose_socket_was_cleaned_away_leaves_its_successor_alone(machine: "Machine") -> None:
    """Cleaners of temporary folders remove sockets after some days. Its clients follow to the successor."""
    first = machine.start()
    first.initialize()
    _link(machine).readlink().unlink()
    second = machine.start()
    second.initialize()

    machine.until(lambda: not machine.is_alive(machine.servers()[0]))

    third = machine.start()
    third.initialize()
    for client in (first, second, third):
        client.call(1, "echo")
    assert {client.result_of(1)["server"] for client in (first, second, third)} == {machine.servers()[1]}
    assert len(machine.servers()) == 2


def test_the_starter_is_told_once() -> None:
    """Afterwards the numbers of its descriptors belong to other files, of the store for instance."""
    ready, told = os.pipe()
    lock = os.open(os.devnull, os.O_RDONLY)
    starter = Starter(told, lock)
    starter.tell({"ok": True})
    other, other_write = os.pipe()
    assert {other, other_write} & {told, lock}

    starter.tell({"ok": False})

    os.close(other_write)
    assert os.read(ready, 100) == b'{"ok":true}\n'
    assert os.read(other, 100) == b""
    os.close(ready)
    os.close(other)


def test_a_connection_survives_what_is_no_message(machine: "Machine") -> None:
    greeting = Greeting(str(machine.common_dir), connection="c", version="1.0.0")
    server = reach_server(greeting, _server_command(machine))
    server.sendall(b'garbage\n[]\n{"jsonrpc":"2.0","id":3,"method":4}\n')
    server.sendall(b'{"jsonrpc":"2.0","id":4,"method":"initialize","params":{"protocolVersion":"2025-11-25",')
    server.sendall(b'"capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}\n')

    with socket.socket(fileno=server.detach()) as connection:
        connection.settimeout(20)
        replies = [json.loads(line) for _, line in zip(range(4), connection.makefile("rb"), strict=False)]

    assert [reply["id"] for reply in replies] == [None, None, 3, 4]
    assert "result" in replies[3]


@pytest.mark.slow
def test_the_command_line_calls_a_tool_once_whatever_happens_to_the_server(machine: "Machine") -> None:
    progress: list[str] = []

    def note(message: str) -> None:
        if not progress:
            machine.kill_server()
            machine.make("release")
        progress.append(message)

    result = _call(machine, "slow", {"text": "ü"}, on_progress=note)

    content = result["structuredContent"]
    assert isinstance(content, dict)
    assert content["text"] == "ü"
    assert content["principal"] == f"cli:{os.geteuid()}"
    assert content["server"] == machine.servers()[1]
    assert len(machine.lines("begun")) == 2
    assert len(machine.lines("effects")) == 1
    assert progress[0] == "still waiting"


def test_two_calls_of_the_command_line_are_two_calls(machine: "Machine") -> None:
    for _ in range(2):
        _call(machine, "echo", {})

    assert len(set(machine.lines("effects"))) == 2
    assert len(machine.servers()) == 1


@pytest.mark.slow
def test_the_command_line_is_told_of_protocol_errors_and_of_silence(machine: "Machine") -> None:
    with pytest.raises(CallFailed, match="Internal server error"):
        _call(machine, "refuse", {})

    with pytest.raises(CallFailed, match="not answered in time"):
        _call(machine, "slow", {}, timeout_s=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_the_server_can_run_inside_the_stdio_process(machine: "Machine", mode: Literal["legacy", "auto"]) -> None:
    command, *arguments = machine.command("in-process", str(machine.repository))
    parameters = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))

    async def session() -> None:
        async with SdkClient(stdio_client(parameters), mode=mode) as client:
            echo = await client.call_tool("echo", {"text": "inside"})
            assert echo.structured_content is not None
            assert echo.structured_content["text"] == "inside"

    anyio.run(session)

    assert not _link(machine).is_symlink()


_WRONG_GREETINGS: list[tuple[str, object]] = [
    ("gatewright", 2),
    ("connection", ""),
    ("common_dir", "/somewhere/else"),
    ("common_dir", None),
]


def _greet_raw(machine: "Machine", line: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(20)
        stranger.connect(str(_link(machine).readlink()))
        stranger.sendall(line.strip() + b"\n")
        answer = stranger.recv(65_536)
    found = json.loads(answer.splitlines()[0])
    assert isinstance(found, dict)
    return found


def _call(machine: "Machine", tool: str, arguments: dict[str, object], **options: object) -> dict[str, object]:
    options = {"timeout_s": 30.0, "command": _server_command(machine), **options}
    return call_tool(str(machine.common_dir), tool, arguments, **options)  # type: ignore[arg-type]  # the caller names its options


def _server_command(machine: "Machine") -> list[str]:
    return machine.command("server-process")


def _link(machine: "Machine") -> Path:
    return machine.common_dir / "gatewright" / "server.sock"
