"""`gatewright board` as a person types it."""

import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from gatewright.server.board.opening import opened

from ...acceptance.house import WITHIN_S, Repository

pytestmark = pytest.mark.slow


def command(repository: Repository, *more: str) -> list[str]:
    return [sys.executable, "-m", "gatewright", "board", "--repo", str(repository.path), *more]


def test_it_prints_a_link_that_opens_it_and_ends_well_with_ctrl_c(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    with subprocess.Popen(
        command(repository, "--no-open"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert select.select([process.stdout], [], [], WITHIN_S + 40)[0], "it never said where it is"
            link = process.stdout.readline().removeprefix("The board: ").strip()
            base, _, secret = link.partition("#")
            with httpx2.Client(timeout=WITHIN_S) as http:
                assert "<!doctype html>" in http.get(base).text
                key = http.post(f"{base}session", headers={"authorization": f"Bearer {secret}"}).json()["key"]
                asked = {"name": "get_status", "arguments": {}}
                message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}
                told = http.post(f"{base}mcp", json=message, headers={"authorization": f"Bearer {key}"}).json()
                process.send_signal(signal.SIGINT)
                ended = process.wait(WITHIN_S)
            errors = process.stderr.read()
        finally:
            process.kill()

    assert told["result"]["structuredContent"]["summary"] == "No change is under way."
    assert (ended, errors) == (0, "")


def test_of_a_teams_server_it_says_where_the_board_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWRIGHT_SERVER", "https://gates.example.org")

    done = subprocess.run([sys.executable, "-m", "gatewright", "board"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "The board: https://gates.example.org/")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            command(Repository(tmp_path / "repo"), "--port", str(port)), capture_output=True, text=True, check=False
        )

    assert done.returncode == 3
    assert f"Port {port} of 127.0.0.1 cannot be had" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_browser_is_handed_the_link_in_a_file_that_nobody_else_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program was started with is seen by every user of the machine."""
    handed: list[str] = []
    monkeypatch.setattr("webbrowser.open", handed.append)

    with opened("http://127.0.0.1:1/#secret"):
        (address,) = handed
        file = Path(address.removeprefix("file://"))
        assert "secret" not in address
        assert "http://127.0.0.1:1/#secret" in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
    assert not file.exists()
