"""A client's session goes on whatever happens to the server, and a call has one effect however often it was sent."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
import pytest
from mcp.client.client import Client as SdkClient
from mcp.client.stdio import StdioServerParameters, stdio_client

from gatewright.__main__ import bridge_options
from gatewright.server import exchange as exchange_module
from gatewright.server.exchange import BLAMELESS_AFTER_S, SENDS_MAX, Exchange
from gatewright.server.lines import LINE_BYTES_MAX, LineSplitter, Oversized

if TYPE_CHECKING:
    from tests.server.conftest import Client, Machine

ROOT = Path(__file__).resolve().parents[2]
GENERATIONS = pytest.mark.parametrize("mode", ["legacy", "auto"], ids=["2025-11-25", "2026-07-28"])
Mode = Literal["legacy", "auto"]


@pytest.mark.slow
@GENERATIONS
def test_a_server_killed_in_the_middle_of_a_call_is_not_noticed_and_the_effect_is_single(
    machine: "Machine", mode: Mode
) -> None:
    command, *arguments = machine.command("bridge")
    parameters = StdioServerParameters(command=command, args=arguments, cwd=machine.repository, env=dict(os.environ))
    heard: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async def kill_once_begun() -> None:
        await anyio.to_thread.run_sync(machine.until, lambda: machine.lines("begun") and heard)
        await anyio.to_thread.run_sync(machine.kill_server)
        machine.make("release")

    async def session() -> None:
        async with SdkClient(stdio_client(parameters), mode=mode) as client, anyio.create_task_group() as tasks:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["echo", "slow", "ask"]
            tasks.start_soon(kill_once_begun)
            slow = await client.call_tool("slow", {"text": "ä\u2028ö"}, progress_callback=note)
            echo = await client.call_tool("echo", {"text": "after"})

            assert slow.structured_content is not None
            assert echo.structured_content is not None
            assert slow.structured_content["text"] == "ä\u2028ö"
            assert slow.structured_content["server"] == echo.structured_content["server"] == machine.servers()[1]
            assert slow.structured_content["principal"] == echo.structured_content["principal"]

    anyio.run(session)

    assert heard[0] == "still waiting"
    assert len(machine.lines("begun")) == 3
    assert machine.lines("begun")[0] == machine.lines("begun")[1] == machine.lines("effects")[0]
    assert len(machine.lines("effects")) == 2


def test_clients_that_start_at_once_and_anywhere_in_the_repository_share_one_server(machine: "Machine") -> None:
    machine.git("worktree", "add", "-q", str(machine.folder / "linked"))
    (machine.folder / "linked" / "deep").mkdir()
    clients = [
        machine.start(),
        machine.start(cwd=machine.folder / "linked" / "deep"),
        machine.start("bridge", str(machine.repository), cwd=Path("/")),
        machine.start(cwd=machine.common_dir, XDG_RUNTIME_DIR=""),
    ]

    for client in clients:
        client.initialize()
        client.call(1, "echo")
    answers = [client.result_of(1) for client in clients]

    assert {answer["server"] for answer in answers} == set(machine.servers())
    assert len(machine.servers()) == 1
    assert len({answer["principal"] for answer in answers}) == len(clients)


def test_a_start_goes_on_when_its_starter_is_killed_and_nobody_starts_a_second_server(machine: "Machine") -> None:
    machine.make("hold")
    first = machine.start()
    machine.until(machine.servers)
    first.signal_and_wait(signal.SIGKILL)
    second = machine.start()
    second.send({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})
    machine.until(lambda: second.has_open("server.lock") or len(machine.servers()) > 1)

    (machine.meeting / "hold").unlink()

    second.reply_to(1)
    assert len(machine.servers()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while the server starts", "idle", "in the middle of a call"])
def test_the_end_of_the_client_ends_the_bridge_at_once(machine: "Machine", moment: str) -> None:
    endings: dict[str, Callable[[Client], tuple[int, float]]] = {
        "closed stdin": lambda client: client.close_and_wait(),
        "closed stdout": lambda client: client.stop_reading_and_wait(),
        "SIGTERM": lambda client: client.signal_and_wait(signal.SIGTERM),
        "SIGINT": lambda client: client.signal_and_wait(signal.SIGINT),
    }
    ended: dict[str, tuple[int, float]] = {}
    if moment == "while the server starts":
        machine.make("hold")

    for way, end in endings.items():
        client = machine.start()
        if moment == "while the server starts":
            client.send({"jsonrpc": "2.0", "id": 1, "method": "ping"}, b"this the bridge answers by itself")
            client.reply_to(None)
            machine.until(machine.servers)
        else:
            client.initialize()
        if moment == "in the middle of a call":
            client.call(1, "slow")
            machine.until(lambda: len(machine.lines("begun")) > len(ended))
        ended[way] = end(client)

    assert {way: status for way, (status, _) in ended.items()} == dict.fromkeys(endings, 0)
    assert max(seconds for _, seconds in ended.values()) < 1.5
    assert machine.is_alive(machine.servers()[0])
    assert len(machine.servers()) == 1


def test_requests_written_before_the_input_was_closed_are_answered(machine: "Machine") -> None:
    machine.start().initialize()
    client = machine.start()

    client.send({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": _HANDSHAKE})
    client.call(2, "echo", text="still here")
    status, _ = client.close_and_wait()

    assert status == 0
    assert client.result_of(2)["text"] == "still here"


def test_what_is_no_message_is_answered_and_the_session_goes_on(machine: "Machine") -> None:
    client = machine.start()
    client.initialize()

    client.send(
        b"this is no JSON", b"[1, 2]", b"[" * 100_000, b'{"id": {}, "method": "ping"}', b"", b"NaN", b"\xff\xfe"
    )
    codes = [client.reply_to(None)["error"]["code"] for _ in range(6)]
    client.send({"jsonrpc": "2.0", "id": 5, "method": 7})
    invalid = client.reply_to(5)
    client.call(6, "echo", text="unharmed")

    assert codes == [-32700, -32700, -32700, -32600, -32700, -32700]
    assert invalid["error"]["code"] == -32600
    assert client.result_of(6)["text"] == "unharmed"


@pytest.mark.slow
def test_a_message_of_megabytes_passes_and_one_above_the_limit_is_refused_by_its_id(machine: "Machine") -> None:
    client = machine.start()
    client.initialize()

    client.call(1, "echo", text="x" * 5_000_000)
    large = client.result_of(1)
    client.call(2, "echo", text="x" * LINE_BYTES_MAX)
    refused = client.reply_to(2)
    client.call(3, "echo", text="small")

    assert len(large["text"]) == 5_000_000
    assert "send less" in refused["error"]["message"]
    assert client.result_of(3)["text"] == "small"


@pytest.mark.slow
def test_a_cancelled_call_is_not_sent_to_the_next_server(machine: "Machine") -> None:
    client = machine.start()
    client.initialize()
    client.call(1, "slow")
    machine.until(lambda: machine.lines("begun"))

    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    machine.kill_server()
    client.call(2, "echo")

    client.result_of(2)
    assert len(machine.lines("begun")) == 2


@pytest.mark.slow
def test_an_answer_to_a_dead_server_is_not_taken_for_an_answer_to_the_next(machine: "Machine") -> None:
    client = machine.start()
    client.initialize(elicitation={})
    client.call(1, "ask")
    dead = client.receive()
    machine.kill_server()
    alive = client.receive()

    client.send({"jsonrpc": "2.0", "id": dead["id"], "result": {"action": "accept", "content": {}}})
    client.send({"jsonrpc": "2.0", "id": alive["id"], "result": {"action": "decline"}})

    assert dead["method"] == alive["method"] == "elicitation/create"
    assert client.result_of(1)["text"] == "decline"


@pytest.mark.slow
def test_the_next_server_hears_of_the_subscriptions_without_being_asked(machine: "Machine") -> None:
    client = machine.start()
    client.initialize()
    for number, uri in enumerate(["gatewright://kept", "gatewright://dropped"]):
        client.send(_resources("subscribe", number, uri))
        client.reply_to(number)
    client.send(_resources("unsubscribe", 2, "gatewright://dropped"))
    client.reply_to(2)

    machine.kill_server()

    machine.until(lambda: machine.lines("subscribed")[2:])
    assert machine.lines("subscribed")[2:] == ["gatewright://kept"]
    client.call(3, "echo")
    assert client.receive()["id"] == 3, "the client was shown an answer to what it had not asked"


@pytest.mark.parametrize("method", ["initialize", "server/discover"])
def test_without_a_repository_a_client_starts_and_is_told_what_to_do(
    machine: "Machine", tmp_path: Path, method: str
) -> None:
    """codex ends itself when a required server cannot be initialized, and it is started in any folder."""
    client = machine.start(cwd=tmp_path)

    client.send({"jsonrpc": "2.0", "id": 1, "method": method, "params": _HANDSHAKE})
    first = client.reply_to(1)
    client.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    client.send({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
    listed = client.reply_to(2)
    client.send({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "get_status"}})
    called = client.reply_to(3)
    client.send({"jsonrpc": "2.0", "id": 4, "method": "ping"})
    pinged = client.reply_to(4)

    assert "There is no git repository" in first["result"]["instructions"]
    assert listed["result"]["tools"] == []
    assert "gatewright init" in called["error"]["message"]
    assert pinged["result"] == {}, "who is pinged and answers with an error is taken for dead"
    assert client.close_and_wait()[0] == 0


@pytest.mark.slow
def test_a_server_that_cannot_start_says_why_and_the_next_request_tries_again(machine: "Machine") -> None:
    machine.make("problem", "The store is of a newer version: upgrade gatewright.\n(and a detail)")
    client = machine.start()
    client.call(1, "echo")
    refused = client.reply_to(1)

    (machine.meeting / "problem").unlink()
    client.initialize()

    assert refused["error"]["message"] == (
        "The server of this repository cannot start: The store is of a newer version: upgrade gatewright."
    )


def test_a_call_that_ends_every_server_is_given_up() -> None:
    exchange = Exchange("bridge")
    exchange.take_client_line(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"deadly"}}')
    sent = set()

    for _ in range(SENDS_MAX):
        exchange.connect()
        sent.add(bytes(exchange.to_server))
        exchange.lose()
        assert exchange.needs_server()
    exchange.connect()

    assert len(sent) == 1
    assert (
        json.loads(exchange.to_client)["error"]["message"]
        == "The server ended 5 times while it worked on this request."
    )
    assert not exchange.is_waiting()


def test_a_request_that_servers_bear_for_long_is_not_blamed_for_their_ends() -> None:
    """A subscription of the stateless generation is one request for the client's whole life."""
    clock = Clock()
    exchange = Exchange("bridge", clock)
    exchange.take_client_line(b'{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}')

    for _ in range(3 * SENDS_MAX):
        exchange.connect()
        clock.now_s += BLAMELESS_AFTER_S + 1
        exchange.lose()

    assert exchange.needs_server()
    assert not exchange.to_client


def test_a_call_that_is_sent_again_says_how_long_its_client_has_waited() -> None:
    """Each server would begin the whole wait anew, and the client would give up in between."""
    clock = Clock()
    exchange = Exchange("bridge", clock)
    exchange.take_client_line(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait_for_update"}}')
    exchange.take_client_line(b'{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}')
    told = []

    for _ in range(3):
        exchange.connect()
        told.append([json.loads(line)["params"].get("_meta") for line in exchange.to_server.splitlines()])
        clock.now_s += 20.5
        exchange.lose()

    assert told == [
        [{"gatewright/call": "bridge-1"}, None],
        [{"gatewright/call": "bridge-1", "gatewright/waited_s": 20}, None],
        [{"gatewright/call": "bridge-1", "gatewright/waited_s": 41}, None],
    ]


def test_a_stamp_that_the_client_made_up_is_replaced() -> None:
    exchange = Exchange("bridge")
    exchange.connect()
    meta = {"gatewright/call": "somebody-elses-7", "progressToken": 3}
    for number in (1, "1"):
        call = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "echo", "_meta": meta}}
        exchange.take_client_line(json.dumps(call).encode())

    metas = [json.loads(line)["params"]["_meta"] for line in exchange.to_server.splitlines()]

    assert metas == [
        {"gatewright/call": "bridge-1", "progressToken": 3},
        {"gatewright/call": "bridge-2", "progressToken": 3},
    ]


def test_requests_that_nobody_answers_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "IN_FLIGHT_BYTES_MAX", 150)
    exchange = Exchange("bridge")
    for number in range(4):
        exchange.take_client_line(b'{"jsonrpc":"2.0","id":%d,"method":"ping"}' % number)

    refused = json.loads(exchange.to_client)

    assert refused["id"] == 3
    assert "wait for it" in refused["error"]["message"]


def test_a_client_that_waits_for_nothing_lets_its_server_rest() -> None:
    exchange = Exchange("bridge")
    exchange.connect()
    exchange.take_client_line(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
    exchange.take_server_line(b'{"jsonrpc":"2.0","id":1,"result":{}}')

    exchange.lose()

    assert not exchange.needs_server()


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"id":1,"x":"' + b"x" * 500 + b'"}}', 7),
        (b'{"jsonrpc": "2.0", "id": "seven", "method": "x", "params": {"x":"' + b"x" * 500 + b'"}}', "seven"),
        (b'{"method":"x","params":{"id":1,"x":"' + b"x" * 500 + b'"},"jsonrpc":"2.0","id":8}', 8),
        (b'{"method":"x","params":{"x":"' + b"x" * 500 + b'","y":{"jsonrpc":"2.0","id":8}}}', None),
        (b"x" * 500, None),
    ],
)
def test_an_oversized_line_keeps_only_whom_to_answer(line: bytes, request_id: object) -> None:
    splitter = LineSplitter(line_bytes_max=400)

    found = [part for piece in (line[:90], line[90:], b"\nnext\n") for part in splitter.feed(piece)]

    assert isinstance(found[0], Oversized)
    assert found[0].request_id() == request_id
    assert found[1:] == [b"next"]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_lines_are_the_same_however_they_arrive(size: int) -> None:
    data = b"first\n\nsecond\r\n" + b"t" * 50 + b"\nrest"
    splitter = LineSplitter(line_bytes_max=50)

    lines = [line for start in range(0, len(data), size) for line in splitter.feed(data[start : start + size])]

    assert lines == [b"first", b"second\r", b"t" * 50]
    assert splitter.rest() == b"rest"


@pytest.mark.parametrize(
    ("arguments", "is_terminal", "options"),
    [
        ([], False, (None, False)),
        ([], True, None),
        (["--repo", "/r"], False, ("/r", False)),
        (["--repo=/r", "--in-process"], False, ("/r", True)),
        (["mcp"], True, (None, False)),
        (["mcp", "--repo", "/r"], True, ("/r", False)),
        (["--repo", "/r"], True, None),
        (["status"], False, None),
        (["--repo", "/r", "status"], False, None),
        (["--version"], False, None),
        (["--repo"], False, None),
    ],
)
def test_a_pipe_gets_the_server_and_a_terminal_the_command_line(
    arguments: list[str], is_terminal: bool, options: object
) -> None:
    assert bridge_options(arguments, is_terminal=is_terminal) == options


def test_the_bridge_loads_no_module_that_it_can_do_without() -> None:
    """Each start of each agent pays for it: docs/performance.md."""
    source = str(ROOT / ".src")
    program = f"import sys; sys.path.insert(0, {source!r}); import gatewright.server.bridge; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)

    heavy = {"asyncio", "argparse", "dataclasses", "inspect", "pathlib", "socket", "signal", "subprocess", "tempfile"}
    assert not heavy & set(loaded.stdout.split())
    assert "gatewright.server.bridge" in loaded.stdout.split()


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


_HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}


def _resources(verb: str, number: int, uri: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": f"resources/{verb}", "params": {"uri": uri}}
