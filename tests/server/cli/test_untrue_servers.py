"""A server that is none of ours, or lies, keeps nobody's command for ever and gets it to say nothing untrue."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gatewright.server import over_http
from gatewright.server.cli.command import Exit

from .conftest import Ran

Call = Callable[..., Ran]
EVENTS = Path(__file__).parents[2] / "gates" / "events_format_1.jsonl"


class Untrue(ThreadingHTTPServer):
    """Answers everything with one body; `is_endless`: and with a blank after it, again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body: object = {}
        self.is_endless = False
        self.asked = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Untrue)
        server.asked += 1
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        try:
            self.wfile.write(json.dumps(server.body).encode())
            while server.is_endless:
                self.wfile.write(b" ")
        except OSError:
            pass  # nobody listens any more

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


@pytest.fixture
def untrue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Untrue]:
    monkeypatch.setenv("GATEWRIGHT_TOKEN", f"gwt_{'a' * 43}")
    with Untrue() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.is_endless = False
        server.shutdown()


def page(event: object, after: int) -> object:
    return {"events": [{"change": "c1", "number": 1, "event": event}], "after": after}


def test_a_log_that_never_gets_further_is_left(untrue: Untrue, call: Call) -> None:
    untrue.body = page(json.loads(EVENTS.read_text().splitlines()[0]), 1)

    told = call("log", "--server", untrue.url)

    assert (told.status, untrue.asked) == (Exit.ERRORED, 2)
    assert "tells the same page again" in told.err


def test_an_event_that_nobody_knows_is_told_as_that(untrue: Untrue, call: Call) -> None:
    untrue.body = page({"kind": "from_the_future", "at": "2026-01-02T03:04:05Z"}, 1)

    told = call("log", "--server", untrue.url)

    assert told.status == Exit.ERRORED
    assert "are both of one version?" in told.err


@pytest.mark.parametrize("command", [("log",), ("why", "c1")])
def test_an_answer_without_end_is_left(
    untrue: Untrue, call: Call, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Each piece of it comes in time."""
    monkeypatch.setattr(over_http, "ANSWER_TIMEOUT_S", 0.2)
    monkeypatch.setattr(over_http, "ANSWER_BYTES_MAX", 2**40)
    untrue.is_endless = True

    told = call(*command, "--server", untrue.url)

    assert told.status == Exit.ERRORED
    assert "did not end in time" in told.err


def test_a_name_that_leads_here_just_now_is_given_no_token_unencrypted(
    untrue: Untrue, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked up again to connect, and may lead elsewhere then."""
    looked_up = socket.getaddrinfo

    def here(host: str, *how: object, **more: object) -> object:
        given = "127.0.0.1" if host == "gates.example.org" else host
        return looked_up(given, *how, **more)  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(socket, "getaddrinfo", here)

    told = call("log", "--server", untrue.url.replace("127.0.0.1", "gates.example.org"))

    assert (told.status, untrue.asked) == (Exit.USAGE, 0)
    assert "a token is sent to https:// alone" in told.err
