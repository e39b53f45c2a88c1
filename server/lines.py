"""Newline-delimited JSON-RPC in pieces: cut a byte stream into lines, write the errors that the edge itself answers.

Standard library only: this is on the bridge's path, where every import is paid by each start of each agent.
"""

import json
from collections.abc import Iterator

LINE_BYTES_MAX = 16 * 1024 * 1024
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INTERNAL_ERROR = -32603

_EDGE_BYTES = 256
_HEAD = b'{"jsonrpc":"2.0","id":'
_TAIL = b',"jsonrpc":"2.0","id":'

RequestId = str | int


class Oversized:
    """A line above the limit, of which only both ends were kept: enough to find whom to answer."""

    def __init__(self, head: bytes, tail: bytes) -> None:
        self.head = head
        self.tail = tail

    def request_id(self) -> RequestId | None:
        """The request's id if it stands first or last in the object, where the SDKs write it; else `None`."""
        head, tail = b"".join(self.head.split()), b"".join(self.tail.split())
        if head.startswith(_HEAD):
            return _scalar(head[len(_HEAD) :].split(b",", 1)[0])
        if tail.endswith(b"}") and _TAIL in tail:
            return _scalar(tail[:-1].rsplit(_TAIL, 1)[1])
        return None


class LineSplitter:
    """Cuts what was read into lines without their newline; memory is bounded by `line_bytes_max` plus one piece."""

    def __init__(self, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._line_bytes_max = line_bytes_max
        self._buffer = bytearray()
        self._searched = 0
        self._oversized: Oversized | None = None

    def feed(self, data: bytes) -> Iterator[bytes | Oversized]:
        """Yield each line that `data` completes; empty lines are left out."""
        self._buffer += data
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            if self._oversized is not None or len(line) > self._line_bytes_max:
                yield self._end_of_oversized(line)
            elif line.strip():
                yield line
        self._searched = len(self._buffer)
        if self._searched > self._line_bytes_max:
            self._drop_middle()

    def rest(self) -> bytes:
        """What came after the last newline; a peer that closes its end may have left the newline out."""
        return bytes(self._buffer) if self._oversized is None else b""

    def _drop_middle(self) -> None:
        if self._oversized is None:
            self._oversized = Oversized(bytes(self._buffer[:_EDGE_BYTES]), b"")
        del self._buffer[:-_EDGE_BYTES]
        self._searched = len(self._buffer)

    def _end_of_oversized(self, line: bytes) -> Oversized:
        oversized = self._oversized or Oversized(line[:_EDGE_BYTES], b"")
        self._oversized = None
        oversized.tail = line[-_EDGE_BYTES:]
        return oversized


def parse_message(line: bytes) -> dict[str, object]:
    """Return the JSON object in `line`; raise `ValueError` with one sentence for anything else."""
    try:
        message = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise ValueError("This line is not JSON; each message is one JSON-RPC object on one line.") from exc
    if not isinstance(message, dict):
        raise ValueError("This line is not a JSON object; batches are not part of the protocol.")
    return message


def as_request_id(value: object) -> RequestId | None:
    """`value` if it may name a request: a string or an integer, not a boolean."""
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def message_line(message: dict[str, object]) -> bytes:
    """One message as it travels, ASCII only, so that no character in it can end the line early."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def error_line(request_id: RequestId | None, code: int, sentence: str) -> bytes:
    """A JSON-RPC error reply, made by the edge itself."""
    return message_line({"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": sentence}})


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _scalar(token: bytes) -> RequestId | None:
    try:
        return as_request_id(json.loads(token))
    except ValueError:
        return None
