"""How git talks to a remote: over what networks have, asking nobody, telling nobody what opens it."""

import http.server
import os
import shutil
import socket
import subprocess
import threading
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatewright.gates.remote.address import parse_address
from gatewright.gates.remote.exchange import environment_of
from gatewright.gates.remote.problems import RemoteProblem
from gatewright.gates.remote.remote import Patience, Remote

from .conftest import Replica, Shared, open_replica

PASSWORD = "hunter2"
UP_WITHIN_S = 10.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def daemon(shared: Shared) -> Iterator[str]:
    """git's own server on loopback; the URL of the shared repository there."""
    if not (Path(subprocess.check_output(["git", "--exec-path"], text=True).strip()) / "git-daemon").exists():
        pytest.skip("git daemon is not installed")
    port = free_port()
    command = ["git", "daemon", "--export-all", "--enable=receive-pack", "--reuseaddr", "--listen=127.0.0.1"]
    process = subprocess.Popen(
        [*command, f"--port={port}", f"--base-path={shared.path.parent}", "--verbose", "--log-destination=stderr"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "Ready to rumble" in process.stderr.readline()
    yield f"git://127.0.0.1:{port}/{shared.path.name}"
    process.terminate()
    process.wait(10)
    process.stderr.close()


@pytest.mark.slow
def test_a_remote_on_the_network_serves_and_takes_as_one_in_a_folder(
    daemon: str, shared: Shared, base: str, tmp_path: Path
) -> None:
    replica = open_replica(tmp_path / "state", daemon)
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, "refs/heads/gatewright/c1/code-1")

    replica.store.fetch(commit, base=base)
    replica.store.keep(commit, f"attempts/c1/code/{commit}")

    assert replica.mirror.branch_tip("main") == base
    assert replica.mirror.move_target("main", base, commit, message="land")
    assert shared.tip() == commit
    assert f"refs/gatewright/attempts/c1/code/{commit}" in shared.refs()


@contextmanager
def answering(status: int, headers: dict[str, str]) -> Generator[tuple[int, list[str]]]:
    """A web server that answers everything so; its port, and the credentials that it was given."""
    given: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1], given
    server.shutdown()
    thread.join()
    server.server_close()


def bare(tmp_path: Path) -> Path:
    place = tmp_path / "asking.git"
    subprocess.run(["git", "init", "-q", "--bare", str(place)], check=True)
    return place


def test_a_password_in_the_address_is_used_and_never_told(tmp_path: Path) -> None:
    with answering(401, {"WWW-Authenticate": 'Basic realm="git"'}) as (port, given):
        remote = Remote(parse_address(f"http://ada:{PASSWORD}@127.0.0.1:{port}/shop.git"), bare(tmp_path))

        with pytest.raises(RemoteProblem, match="cannot be reached") as caught:
            remote.tips("refs/heads/main")

    assert any(each.startswith("Basic ") for each in given)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert f"http://127.0.0.1:{port}/shop.git" in caught.value.message


def test_nobody_is_asked_for_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    helper = tmp_path / "ask.sh"
    helper.write_text(f"#!/bin/sh\ntouch {asked}\necho {PASSWORD}\n")
    helper.chmod(0o755)
    monkeypatch.setenv("GIT_ASKPASS", str(helper))
    monkeypatch.setenv("SSH_ASKPASS", str(helper))
    with answering(401, {"WWW-Authenticate": 'Basic realm="git"'}) as (port, _):
        remote = Remote(parse_address(f"http://127.0.0.1:{port}/shop.git"), bare(tmp_path))

        with pytest.raises(RemoteProblem, match="could not read Username"):
            remote.tips("refs/heads/main")

    assert not asked.exists()


@pytest.mark.slow
def test_a_credential_helper_of_the_operator_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text(f'[credential]\n\thelper = "!echo username=ada; echo password={PASSWORD}; true"\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    with answering(401, {"WWW-Authenticate": 'Basic realm="git"'}) as (port, given):
        remote = Remote(parse_address(f"http://127.0.0.1:{port}/shop.git"), bare(tmp_path))

        with pytest.raises(RemoteProblem) as caught:
            remote.tips("refs/heads/main")

    assert any(each.startswith("Basic ") for each in given)
    assert PASSWORD not in caught.value.message


@pytest.mark.slow
def test_a_server_that_takes_the_connection_and_says_nothing_is_left(tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"git://127.0.0.1:{deaf.getsockname()[1]}/shop.git"
        remote = Remote(parse_address(url), bare(tmp_path), patience=Patience(look_s=0.5))

        with pytest.raises(RemoteProblem, match="no answer within"):
            remote.tips("refs/heads/main")


def test_a_redirect_leads_to_no_other_protocol(tmp_path: Path, shared: Shared) -> None:
    with answering(302, {"Location": f"file://{shared.path}"}) as (port, _):
        remote = Remote(parse_address(f"http://127.0.0.1:{port}/shop.git"), bare(tmp_path))

        with pytest.raises(RemoteProblem):
            remote.tips("refs/heads/main")


def test_an_operators_settings_cannot_run_a_helper_of_another_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[url "ext::sh -c touch% {ran}"]\n\tinsteadOf = https://git.example.org/\n[protocol "ext"]\n\tallow = always\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    remote = Remote(parse_address("https://git.example.org/"), bare(tmp_path))

    with pytest.raises(RemoteProblem):
        remote.tips("refs/heads/main")

    assert not ran.exists()


@pytest.mark.slow
def test_no_hook_of_the_operators_runs_on_this_side(
    replica: Replica, shared: Shared, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-push").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (hooks / "pre-push").chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[core]\n\thooksPath = {hooks}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    other = open_replica(tmp_path / "other", shared.url)
    other.store.fetch_base(base)

    other.store.keep(base, f"bases/{base}")

    assert not ran.exists()
    assert f"refs/gatewright/bases/{base}" in shared.refs()


def test_where_the_remote_lies_stands_in_no_argument(shared: Shared, tmp_path: Path) -> None:
    """Every user of a machine can read the arguments of every process."""
    environment = environment_of(parse_address("https://ada:hunter2@git.example.org/shop.git"))

    assert environment["GIT_CONFIG_VALUE_0"] == "https://ada:hunter2@git.example.org/shop.git"
    assert not any(PASSWORD in value for name, value in environment.items() if name != "GIT_CONFIG_VALUE_0")


@pytest.mark.slow
def test_a_host_that_ssh_does_not_know_is_an_error_and_no_question(tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("no ssh")
    remote = Remote(parse_address(f"ssh://git@127.0.0.1:{free_port()}/shop.git"), bare(tmp_path))

    with pytest.raises(RemoteProblem, match="cannot be reached"):
        remote.tips("refs/heads/main")

    assert environment_of(remote.address)["SSH_ASKPASS_REQUIRE"] == "force"
    assert os.access(environment_of(remote.address)["SSH_ASKPASS"], os.X_OK)
