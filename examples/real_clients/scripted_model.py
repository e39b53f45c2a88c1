"""A language model that follows a story, served on loopback.

Speaks the model API of one client, streaming or not, so that a real client can be driven without a network, an account
or a key. It keeps what the client really sent, to be asserted on afterwards.
"""

import json
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from conversation import Action, CallTool, Conversation, Received, Say, Story, exchanges, next_action
from events import JsonObject
from hands import Hands, Turn
from models.wire import Wire

MODEL = "scripted"
SIDE_MODEL = "scripted-side"
"""For what clients ask beside the conversation: titles, summaries, commit messages."""
REQUEST_BYTES_MAX = 32_000_000
REQUESTS_MAX = 200
COUNT_PATH = "/v1/messages/count_tokens"


class ScriptedModel:
    """One story, told to one client. Thread-safe: clients ask side questions while a turn is running."""

    def __init__(self, story: Story, wire: Wire, hands: Hands) -> None:
        self.wire = wire
        self._story = story
        self._hands = hands
        self._lock = threading.Lock()
        self._longest = Conversation(frozenset(), "")
        self._requests = 0
        self.base_url = ""
        """Set while the model is being served."""
        self.turned_away: list[str] = []
        """What a client wanted from the world outside; it asks here because the model is also its proxy."""

    @property
    def conversation(self) -> Conversation:
        """The longest conversation that the client has sent so far."""
        with self._lock:
            return self._longest

    def exchanges(self) -> list[tuple[Action, Received]]:
        """Every action of the story that the client carried out, and what it sent back."""
        return exchanges(self._story, self.conversation.received)

    def calls(self) -> int:
        """How often the client called gatewright for its model."""
        return sum(isinstance(action, CallTool) for action, _ in self.exchanges())

    def answer(self, body: JsonObject) -> Turn | None:
        """The model's turn; None when a client asks without an end."""
        with self._lock:
            self._requests += 1
            if self._requests > REQUESTS_MAX:
                return None
        conversation = self.wire.read(body, self._hands)
        # A conversation that offers none of our tools is a side question too, where there are tools at all.
        if body.get("model") == SIDE_MODEL or (self._hands.call_tools and not conversation.offered):
            return Say("A side question.")
        with self._lock:
            if len(conversation.received) >= len(self._longest.received):
                self._longest = conversation
        return self._hands.turn(next_action(self._story, conversation.received), conversation)


@contextmanager
def serving(model: ScriptedModel) -> Generator[ScriptedModel]:
    """Serve the model on a free port of 127.0.0.1 for as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"model": model}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    model.base_url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    model: ScriptedModel
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._read_body()
        path = self.path.partition("?")[0]
        if not path.startswith("/"):
            return self.do_GET()
        if path == COUNT_PATH:
            return self._send("application/json", [json.dumps({"input_tokens": 1000}).encode()])
        wire = self.model.wire
        turn = self.model.answer(body) if wire.is_address(path) else None
        if turn is None:
            return self._refuse()
        if wire.is_streamed(path, body):
            return self._send("text/event-stream", wire.events(body, turn))
        return self._send("application/json", [json.dumps(wire.whole(body, turn)).encode()])

    def do_GET(self) -> None:
        if not self.path.startswith("/"):
            self.model.turned_away.append(self.path)
        self._refuse()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        self.model.turned_away.append(self.path)
        self._refuse()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's signature
        """Keep quiet: the output of the example is its checkpoints."""

    def _read_body(self) -> JsonObject:
        size = int(self.headers.get("content-length") or 0)
        try:
            body = json.loads(self.rfile.read(min(size, REQUEST_BYTES_MAX)))
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    def _send(self, content_type: str, pieces: Iterable[bytes]) -> None:
        payload = b"".join(pieces)
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _refuse(self) -> None:
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()
