"""What no sane client sends, over the installed command's standard input: each is answered, and so is the next."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from .installed import Command, installed

pytestmark = pytest.mark.slow

LEAVE_WITHIN_S = 20

Message = dict[str, Any]  # JSON
# What is sent, the code of the error that answers it (None: nothing does), and the id of that answer.
Line = tuple[Message | list[Message] | bytes, int | None, int | None]

INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32600, -32601, -32602
PARSE_ERROR, UNSUPPORTED_VERSION = -32700, -32022
HELLO: Message = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "odd", "version": "1"}}
META: Message = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def request(method: str, **params: object) -> Message:
    return {"jsonrpc": "2.0", "id": 7, "method": method, **({"params": params} if params else {})}


HANDSHAKE: list[Line] = [
    (request("tools/call"), INVALID_PARAMS, 7),
    ({**request("tools/call"), "params": []}, INVALID_REQUEST, 7),
    (request("tools/call", name=7), INVALID_PARAMS, 7),
    (request("tools/call", name="get_status", arguments=[]), INVALID_PARAMS, 7),
    (request("tools/call", name="get_status", _meta={"progressToken": {}}), INVALID_PARAMS, 7),
    (request("nothing/such"), METHOD_NOT_FOUND, 7),
    (request("logging/setLevel", level="info"), METHOD_NOT_FOUND, 7),
    (request("resources/read", uri="no address"), INVALID_PARAMS, 7),
    (request("resources/read", uri="gatewright://changes/c1/../.."), INVALID_PARAMS, 7),
    (request("prompts/get", name="nothing_such"), INVALID_PARAMS, 7),
    (
        request("completion/complete", ref={"type": "ref/nothing"}, argument={"name": "a", "value": ""}),
        INVALID_PARAMS,
        7,
    ),
    ({**request("ping"), "id": 8.5}, INVALID_REQUEST, None),
    ({**request("ping"), "id": True}, INVALID_REQUEST, None),
    ({**request("ping"), "id": None}, INVALID_REQUEST, None),
    ({"id": 7, "method": "ping"}, INVALID_REQUEST, 7),
    ({**request("ping"), "jsonrpc": "1.0"}, INVALID_REQUEST, 7),
    ([request("ping")], PARSE_ERROR, None),
    (b"\xff\xfe", PARSE_ERROR, None),
    (b"null", PARSE_ERROR, None),
    ({"jsonrpc": "2.0", "method": "notifications/nothing"}, None, None),
    ({"jsonrpc": "2.0", "method": "notifications/cancelled"}, None, None),
    ({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}}, None, None),
    ({"jsonrpc": "2.0", "id": 99, "result": {}}, None, None),
    ({"jsonrpc": "2.0", "id": 99, "error": {"code": 1, "message": "no"}}, None, None),
    (b"", None, None),
    (b"{}", None, None),
]
STATELESS: list[Line] = [
    (request("tools/call", _meta=META), INVALID_PARAMS, 7),
    (request("tools/list"), INVALID_PARAMS, 7),
    (request("tools/list", _meta={}), INVALID_PARAMS, 7),
    (
        request("tools/list", _meta={**META, "io.modelcontextprotocol/protocolVersion": "1999-01-01"}),
        UNSUPPORTED_VERSION,
        7,
    ),
    (request("ping", _meta=META), METHOD_NOT_FOUND, 7),
    (request("tasks/get", _meta=META, taskId="t"), METHOD_NOT_FOUND, 7),
    (request("resources/subscribe", _meta=META, uri="gatewright://changes"), METHOD_NOT_FOUND, 7),
    (request("subscriptions/listen", _meta=META), INVALID_PARAMS, 7),
    (request("initialize", **HELLO), UNSUPPORTED_VERSION, 7),
    (request("tools/call", _meta=META, name="get_status", inputResponses={"a": 1}), INVALID_PARAMS, 7),
    ({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}}, None, None),
    (b"\xff\xfe", PARSE_ERROR, None),
]


@dataclass(frozen=True)
class Client:
    process: "subprocess.Popen[bytes]"

    def send(self, line: Message | list[Message] | bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n")
        self.process.stdin.flush()

    def receive(self) -> Message:
        assert self.process.stdout is not None
        message: Message = json.loads(self.process.stdout.readline())
        return message


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with installed(tmp_path_factory.mktemp("odd") / "repository") as found:
        yield found


@pytest.fixture
def client(command: Command) -> Iterator[Client]:
    with subprocess.Popen(
        command.argv, cwd=command.folder, env=command.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Client(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(LEAVE_WITHIN_S) == 0


@pytest.mark.parametrize(
    ("first", "still_there", "lines"),
    [
        (request("initialize", **HELLO), request("ping"), HANDSHAKE),
        (request("server/discover", _meta=META), request("server/discover", _meta=META), STATELESS),
    ],
    ids=["2025-11-25", "2026-07-28"],
)
def test_whatever_a_client_sends_is_answered_once_and_the_session_goes_on(
    client: Client,
    first: Message,
    still_there: Message,
    lines: list[Line],
) -> None:
    client.send(first)
    assert "result" in client.receive()
    client.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    for line, code, answered in lines:
        client.send(line)
        if code is not None:
            told = client.receive()
            assert (told["error"]["code"], told["id"]) == (code, answered), line
        client.send({**still_there, "id": "still there"})
        reply = client.receive()
        assert reply["id"] == "still there", (line, reply)
        assert "result" in reply
