"""Call a tool of the repository's server from the command line, without the SDK: the stateless protocol generation.

Standard library only. A server that dies during the call is started again and asked again; the call's stamp, equal in
every repetition, keeps its effect single.
"""

import os
import select
import time
from collections.abc import Callable, Sequence

from .. import __version__
from .exchange import CALL_STAMP_KEY, SENDS_MAX, WAITED_KEY, with_meta
from .lines import LineSplitter, Oversized, message_line, parse_message
from .reach import SERVER_COMMAND, Greeting, reach_server
from .rendezvous import NoServer, Socket

PROTOCOL_VERSION = "2026-07-28"
META_PREFIX = "io.modelcontextprotocol/"
CALL_ID = 1
READ_BYTES = 65_536

OnProgress = Callable[[str], None]


class CallFailed(Exception):
    """The server answered with a protocol error, or not in time; `str()` is one sentence."""


def call_tool(
    common_dir: str,
    tool: str,
    arguments: dict[str, object],
    *,
    timeout_s: float,
    on_progress: OnProgress | None = None,
    connection: str | None = None,
    command: Sequence[str] = SERVER_COMMAND,
) -> dict[str, object]:
    """Return the tool's result as it travels: `{content, structuredContent, isError}`.

    `on_progress` gets each progress message while the call waits. The principal is the calling user, `cli:<uid>`;
    `connection` tells callers of one user apart in the log only. Raises `NoServer` when no server can be had and
    `CallFailed` when it answers with a protocol error or not within `timeout_s` seconds.
    """
    name = connection or f"cli-{os.getuid()}"
    greeting = Greeting(common_dir, connection=name, kind="cli")
    request = tool_request(tool, arguments, stamp=f"{name}-{os.urandom(12).hex()}")
    begun_s = time.monotonic()
    deadline_s = begun_s + timeout_s
    for _ in range(SENDS_MAX):
        server = reach_server(greeting, command)
        line = message_line(with_meta(request, {WAITED_KEY: int(time.monotonic() - begun_s)}))
        try:
            answer = _ask(server, line, deadline_s, on_progress or _ignore)
        finally:
            server.close()
        if answer is not None:
            return answer
    raise NoServer(f"The server ended {SENDS_MAX} times while it worked on this call.")


def tool_request(tool: str, arguments: dict[str, object], *, stamp: str) -> dict[str, object]:
    """One call as a message of the protocol's stateless generation; `CALL_ID` is its id."""
    meta: dict[str, object] = {
        META_PREFIX + "protocolVersion": PROTOCOL_VERSION,
        META_PREFIX + "clientCapabilities": {},
        META_PREFIX + "clientInfo": {"name": "gatewright", "version": __version__},
        "progressToken": CALL_ID,
        CALL_STAMP_KEY: stamp,
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    return {"jsonrpc": "2.0", "id": CALL_ID, "method": "tools/call", "params": params}


def _ask(server: Socket, line: bytes, deadline_s: float, on_progress: OnProgress) -> dict[str, object] | None:
    """The result of one call; `None` when the server went away before it answered."""
    splitter = LineSplitter()
    poll = select.poll()
    poll.register(server.fileno(), select.POLLIN)
    try:
        server.sendall(line)
        while True:
            if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
                raise CallFailed("The server has not answered in time; the work goes on and can be asked for again.")
            data = server.recv(READ_BYTES)
            if not data:
                return None
            for answer in splitter.feed(data):
                if (result := _result(answer, on_progress)) is not None:
                    return result
    except OSError:
        return None


def _result(line: bytes | Oversized, on_progress: OnProgress) -> dict[str, object] | None:
    """The result if this line carries it; progress is passed on."""
    if isinstance(line, Oversized):
        raise CallFailed("The server's answer is too large.")
    match parse_message(line):
        case {"id": 1, "result": dict() as result}:
            return result
        case {"id": 1, "error": {"message": message}}:
            raise CallFailed(str(message))
        case {"method": "notifications/progress", "params": {"message": str(message)}}:
            on_progress(message)
        case _:
            pass
    return None


def _ignore(_: str) -> None:
    pass
