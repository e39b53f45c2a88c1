"""What a bridge remembers of its client's conversation, so that it can go on with another server. No input or output.

Lines go in, bytes for either side come out. What has no reply yet is sent again to the next server, after what that
server has to be told first (the handshake, subscriptions). So that a repeated call has one effect, each `tools/call`
carries a stamp, put on at first sight and equal in every repetition; a repetition also says how long the client has
waited, so that no wait begins anew. Standard library only.
"""

import time
from collections.abc import Callable

from .lines import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    LINE_BYTES_MAX,
    PARSE_ERROR,
    Oversized,
    RequestId,
    as_request_id,
    error_line,
    message_line,
    parse_message,
)
from .unserved import answer

CALL_STAMP_KEY = "gatewright/call"
WAITED_KEY = "gatewright/waited_s"
SENDS_MAX = 5
# A server that has worked on a request for so long did not end because of it.
BLAMELESS_AFTER_S = 60.0
IN_FLIGHT_BYTES_MAX = 4 * LINE_BYTES_MAX


class Exchange:
    """One client's conversation. `to_client` and `to_server` are emptied by whoever owns the descriptors.

    `clock` tells seconds that never go back; only differences of them are used.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.to_client, self.to_server = bytearray(), bytearray()
        self._name = name
        self._clock = clock
        self._counter = 0
        self._is_connected = False
        self._session = _Session()
        self._is_session_lost = False
        self._in_flight: dict[RequestId, _Sent] = {}
        self._questions: dict[str, RequestId] = {}
        self._own_requests: set[str] = set()

    def is_waiting(self) -> bool:
        """Whether the client still waits for a reply."""
        return bool(self._in_flight)

    def needs_server(self) -> bool:
        """Whether to look for a server now; a client that waits for nothing can do without one until it asks again."""
        return not self._is_connected and (self.is_waiting() or self._is_session_lost)

    def connect(self) -> None:
        """A server listens: bring it to where the last one was, then send what has no reply."""
        self._is_connected, self._is_session_lost = True, False
        for line in self._session.lines(self._new_own_id):
            self.to_server += line
        for request_id, sent in list(self._in_flight.items()):
            if self._clock() - sent.sent_s > BLAMELESS_AFTER_S:
                sent.sends = 0
            if sent.sends < SENDS_MAX:
                self._send(sent)
            else:
                # A request that ends every server it reaches must not end them for ever.
                self._refuse(request_id, f"The server ended {SENDS_MAX} times while it worked on this request.")

    def lose(self) -> None:
        """The server is gone, with everything it had been told and asked."""
        self._is_connected = False
        self._is_session_lost = self._session.has_subscriptions()
        self.to_server.clear()
        self._questions.clear()
        self._own_requests.clear()

    def give_up(self, sentence: str, *, is_final: bool = False) -> None:
        """No server can be had for now: tell so for every request; the next one tries again.

        When it `is_final` (there is no repository) the client is still served, without tools: see `unserved`.
        """
        self._is_session_lost = False
        for request_id, sent in list(self._in_flight.items()):
            result = answer(sent.message, sentence) if is_final else None
            if result is None:
                self._refuse(request_id, sentence)
            else:
                reply: dict[str, object] = {"jsonrpc": "2.0", "id": request_id, "result": result}
                self._take_reply(reply, message_line(reply))

    def take_client_line(self, line: bytes | Oversized) -> None:
        """Pass on what the client sent, without its newline; answer by ourselves what is no message."""
        if isinstance(line, Oversized):
            sentence = f"This message is larger than {LINE_BYTES_MAX} bytes: send less at once."
            self.to_client += error_line(line.request_id(), INVALID_REQUEST, sentence)
            return
        try:
            message = parse_message(line)
        except ValueError as exc:
            self.to_client += error_line(None, PARSE_ERROR, str(exc))
            return
        if "method" not in message:
            self._take_answer(message)
        elif "id" in message:
            self._take_request(message, line + b"\n")
        else:
            self._take_notification(message, line + b"\n")

    def take_server_line(self, line: bytes | Oversized) -> None:
        """Pass on what the server sent, unless it answers what only we asked."""
        try:
            message = {} if isinstance(line, Oversized) else parse_message(line)
        except ValueError:
            message = {}
        if isinstance(line, Oversized) or not message:
            self.to_client += error_line(None, INTERNAL_ERROR, "The server sent a message that cannot be passed on.")
        elif "method" in message:
            self.to_client += self._renamed(message) or line + b"\n"
        else:
            self._take_reply(message, line + b"\n")

    def _take_request(self, message: dict[str, object], line: bytes) -> None:
        request_id = as_request_id(message["id"])
        if request_id is None:
            self.to_client += error_line(None, INVALID_REQUEST, "A request's id is a string or an integer.")
            return
        if sum(len(sent.line) for sent in self._in_flight.values()) + len(line) > IN_FLIGHT_BYTES_MAX:
            self.to_client += error_line(
                request_id, INTERNAL_ERROR, "Too much is waiting for a reply already: wait for it."
            )
            return
        stamped = self._stamped(message)
        sent = self._in_flight[request_id] = _Sent(message, stamped, line, self._clock())
        if self._is_connected:
            self._send(sent)

    def _take_notification(self, message: dict[str, object], line: bytes) -> None:
        match message:
            case {"method": "notifications/initialized"}:
                self._session.note_initialized()
            case {"method": "notifications/cancelled", "params": {"requestId": str() | int() as request_id}}:
                self._in_flight.pop(request_id, None)
            case _:
                pass
        if self._is_connected:
            self.to_server += line

    def _take_answer(self, message: dict[str, object]) -> None:
        """Pass on what the client answers to this server's question; a dead server's question has nobody to hear it."""
        question = self._questions.pop(str(message.get("id")), None)
        if question is not None:
            self.to_server += message_line({**message, "id": question})

    def _take_reply(self, message: dict[str, object], line: bytes) -> None:
        request_id = as_request_id(message.get("id"))
        if request_id in self._own_requests:
            self._own_requests.discard(str(request_id))
            return
        sent = self._in_flight.pop(request_id, None) if request_id is not None else None
        if sent is not None and "result" in message:
            self._session.note_accepted(sent.message)
        self.to_client += line

    def _stamped(self, message: dict[str, object]) -> dict[str, object] | None:
        """A `tools/call` with its stamp; `None` for every other request. A client's own stamp is not believed."""
        if message["method"] != "tools/call" or not isinstance(message.get("params"), dict):
            return None
        return with_meta(message, {CALL_STAMP_KEY: f"{self._name}-{self._next()}"})

    def _renamed(self, message: dict[str, object]) -> bytes | None:
        """The server's question under a name that no other server has used; `None` where there is nothing to rename.

        Servers count their questions from one: a late answer to a dead one's would be taken as an answer to the next's.
        """
        match message:
            case {"id": str() | int() as question}:
                name = f"{self._name}-question-{self._next()}"
                self._questions[name] = question
                return message_line({**message, "id": name})
            case {"method": "notifications/cancelled", "params": {"requestId": question, **others}}:
                for name, asked in self._questions.items():
                    if asked == question:
                        return message_line({**message, "params": {**others, "requestId": name}})
            case _:
                pass
        return None

    def _send(self, sent: "_Sent") -> None:
        sent.sends += 1
        sent.sent_s = self._clock()
        self.to_server += sent.line_after(sent.sent_s)

    def _refuse(self, request_id: RequestId, sentence: str) -> None:
        del self._in_flight[request_id]
        self.to_client += error_line(request_id, INTERNAL_ERROR, sentence)

    def _new_own_id(self) -> str:
        name = f"{self._name}-own-{self._next()}"
        self._own_requests.add(name)
        return name

    def _next(self) -> int:
        self._counter += 1
        return self._counter


def with_meta(request: dict[str, object], stamps: dict[str, object]) -> dict[str, object]:
    """The request with these entries in the `_meta` of its parameters, in place of any of the same names."""
    params = request.get("params")
    assert isinstance(params, dict)
    meta = params.get("_meta")
    return {**request, "params": {**params, "_meta": {**(meta if isinstance(meta, dict) else {}), **stamps}}}


class _Sent:
    """A request without a reply: its line as it first went out, how many servers were given it, when the last was."""

    def __init__(
        self, message: dict[str, object], stamped: dict[str, object] | None, line: bytes, now_s: float
    ) -> None:
        self.message = message
        self.line = line if stamped is None else message_line(stamped)
        self.sends = 0
        self.sent_s = now_s
        self._stamped = stamped
        self._taken_s = now_s

    def line_after(self, now_s: float) -> bytes:
        """The line to send now: a stamped call tells how many whole seconds its client has waited already."""
        waited_s = int(now_s - self._taken_s)
        if waited_s < 1 or self._stamped is None:
            return self.line
        return message_line(with_meta(self._stamped, {WAITED_KEY: waited_s}))


class _Session:
    """What a new server must be told before it can go on: nothing, for clients of the stateless generation."""

    def __init__(self) -> None:
        self._accepted: dict[str, dict[str, object]] = {}
        self._is_initialized = False

    def note_accepted(self, request: dict[str, object]) -> None:
        """Remember a request that changed what the server knows of this client, in the order of first acceptance."""
        match request:
            case {"method": "initialize" | "logging/setLevel" as method}:
                self._accepted[str(method)] = request
            case {"method": "resources/subscribe", "params": {"uri": str(uri)}}:
                self._accepted[uri] = request
            case {"method": "resources/unsubscribe", "params": {"uri": str(uri)}}:
                self._accepted.pop(uri, None)
            case _:
                pass

    def note_initialized(self) -> None:
        """Remember that the client has ended its handshake."""
        self._is_initialized = True

    def has_subscriptions(self) -> bool:
        """Whether the client waits for notifications without a request in flight."""
        return any(request["method"] == "resources/subscribe" for request in self._accepted.values())

    def lines(self, new_id: Callable[[], str]) -> list[bytes]:
        """What to send first on a new connection, under ids of our own."""
        lines = []
        for request in self._accepted.values():
            lines.append(message_line({**request, "id": new_id()}))
            if request["method"] == "initialize" and self._is_initialized:
                lines.append(message_line({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        return lines
