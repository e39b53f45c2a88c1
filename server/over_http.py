"""A team's server, as the command line reaches it: people's commands as JSON, tools as stateless calls of the protocol.

Nothing is followed elsewhere, nothing but TLS leaves this machine, and no answer is read without end.
"""

import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from ..schemas.refusals import Refusal, RefusalCode, Refused
from .client import CALL_ID, PROTOCOL_VERSION, CallFailed, tool_request

PEOPLE, TOOLS = "/people/", "/mcp"
# A landing or a signature is decided within this, or nobody knows.
ANSWER_TIMEOUT_S = 120.0
CONNECT_TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 2**25
UNAUTHORIZED = 401
# What the library passes on of the system's words, in ours.
_REASONS = {
    "WRONG_VERSION_NUMBER": "no TLS is spoken there, as by a server at an address with http://",
    "Connection refused": "nobody listens there",
    "Name or service not known": "its host is unknown",
}

Model = TypeVar("Model", bound=BaseModel)
Answer = dict[str, object]


class NoAnswer(Exception):
    """The server did not answer, or not as one of ours does; `str()` is one sentence. What was asked may be done."""


class TokenRefused(Exception):
    """The server knows nobody by this token."""


@dataclass(frozen=True, slots=True)
class TeamServer:
    """`url` is its own, without a path; `token` is who calls."""

    url: str
    token: str = field(repr=False)

    def ask(self, command: str, body: BaseModel, answered: type[Model]) -> Model:
        """What the server answers to a command of people. Raises `Refused`, `TokenRefused` and `NoAnswer`."""
        return read_as(answered, self.post(command, body))

    def post(self, command: str, body: BaseModel) -> Answer:
        """The same as the fields that it has."""
        headers, deadline_s = {"content-type": "application/json"}, time.monotonic() + ANSWER_TIMEOUT_S
        with self._sent(f"{PEOPLE}{command}", body.model_dump_json().encode(), headers, ANSWER_TIMEOUT_S) as response:
            found = _object(_whole(response, deadline_s))
            if response.is_success:
                return found
            raise _problem(response.status_code, found)

    def call_tool(
        self, tool: str, arguments: Answer, *, timeout_s: float, on_progress: Callable[[str], None]
    ) -> Answer:
        """A tool's result as it travels, as `client.call_tool` has it; raises what `ask` does, and `CallFailed`."""
        stamp = f"http-{os.urandom(12).hex()}"
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": PROTOCOL_VERSION,
            "mcp-method": "tools/call",
            "mcp-name": tool,
        }
        body = json.dumps(tool_request(tool, arguments, stamp=stamp)).encode()
        deadline_s = time.monotonic() + timeout_s
        with self._sent(TOOLS, body, headers, timeout_s) as response:
            if not response.is_success:
                raise _problem(response.status_code, _object(_whole(response, deadline_s)))
            for message in _messages(response, deadline_s):
                match message:
                    case {"id": message_id, "result": dict() as result} if message_id == CALL_ID:
                        return result
                    case {"id": message_id, "error": error} if message_id == CALL_ID:
                        raise CallFailed(f"The server could not do it: {_error_text(error)}.")
                    case {"method": "notifications/progress", "params": {"message": str(text)}}:
                        on_progress(text)
                    case _:
                        pass
        raise NoAnswer("The server ended its answer before it was whole.")

    def is_there(self, path: str) -> tuple[int, Answer]:
        """Status and body of a path that everybody may ask for; raises `NoAnswer`."""
        url, deadline_s = f"{self.url}{path}", time.monotonic() + CONNECT_TIMEOUT_S
        with _told(), self._client() as client, client.stream("GET", url, timeout=CONNECT_TIMEOUT_S) as response:
            return response.status_code, _object(_whole(response, deadline_s))

    @contextmanager
    def _sent(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Generator[httpx2.Response]:
        given = {**headers, "authorization": f"Bearer {self.token}"}
        timeout = httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        url = f"{self.url}{path}"
        with (
            _told(),
            self._client() as client,
            client.stream("POST", url, content=body, headers=given, timeout=timeout) as response,
        ):
            yield response

    def _client(self) -> httpx2.Client:
        # Whoever says where to go next would be given the token, and so would a proxy of what is not encrypted.
        return httpx2.Client(follow_redirects=False, trust_env=self.url.startswith("https:"))


def read_as(model: type[Model], answer: Answer) -> Model:
    """The answer as what it should be; raises `NoAnswer`."""
    try:
        return model.model_validate(answer)
    except ValidationError as exc:
        raise NoAnswer(
            "The server answers in a shape that this version does not know; are both of one version?"
        ) from exc


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except httpx2.HTTPError as exc:
        raise NoAnswer(f"The server did not answer: {_reason(str(exc)) or type(exc).__name__}.") from exc


def _reason(text: str) -> str:
    return next((told for words, told in _REASONS.items() if words in text), text.strip())


def _problem(status: int, found: Answer) -> Exception:
    if status == UNAUTHORIZED:
        return TokenRefused()
    match found:
        case {"code": str(code), "message": str(message), "next": str(action)} if code in [*RefusalCode]:
            return Refused(Refusal(RefusalCode(code), message, action))
        case {"message": str(message)}:
            return NoAnswer(f"The server answers {status}: {message}")
        case _:
            return NoAnswer(f"The server answers {status}; is it one of gatewright's?")


def _whole(response: httpx2.Response, deadline_s: float) -> bytes:
    data = b""
    for chunk in response.iter_bytes():
        data += chunk
        if time.monotonic() > deadline_s:
            raise NoAnswer("The server's answer did not end in time.")
        if len(data) > ANSWER_BYTES_MAX:
            raise NoAnswer("The server's answer is too large.")
    return data


def _object(data: bytes) -> Answer:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _messages(response: httpx2.Response, deadline_s: float) -> Iterator[Answer]:
    """Each message of a stream of events, or the one that is the whole answer."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        yield _object(_whole(response, deadline_s))
        return
    waiting, size = b"", 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > ANSWER_BYTES_MAX:
            raise NoAnswer("The server's answer is too large.")
        if time.monotonic() > deadline_s:
            raise CallFailed("The server did not answer in time; the work goes on and can be asked for again.")
        *lines, waiting = (waiting + chunk).split(b"\n")
        yield from (_object(line.removeprefix(b"data:")) for line in lines if line.startswith(b"data:"))


def _error_text(error: object) -> str:
    return str(error.get("message", "")).rstrip(".") if isinstance(error, dict) else ""
