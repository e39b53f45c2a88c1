"""What every model API is to a scripted model: a way to read requests and to write replies."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from conversation import Conversation, Received
from events import JsonObject
from hands import SEARCH_ID, STORY_ID, Hands, Turn

# Before all prose of the scripted model: clients put examples of assistants' answers into their prompts.
VOICE = "[scripted] "


@dataclass(frozen=True)
class ToolAnswer:
    """What the client gave back for one call."""

    id: str
    text: str


@dataclass(frozen=True)
class Said:
    """Prose of an assistant."""

    text: str


@dataclass(frozen=True)
class Heard:
    """Prose that came to the model."""

    text: str


Utterance = ToolAnswer | Said | Heard


class Wire(Protocol):
    """One model API. Its modules are values of this type."""

    def is_address(self, path: str, /) -> bool:
        """Whether turns of a conversation are asked for there."""
        ...

    def is_streamed(self, path: str, body: JsonObject, /) -> bool: ...

    def read(self, body: JsonObject, hands: Hands, /) -> Conversation: ...

    def whole(self, body: JsonObject, turn: Turn, /) -> JsonObject: ...

    def events(self, body: JsonObject, turn: Turn, /) -> Iterator[bytes]: ...


def conversation_of(utterances: Iterable[Utterance], *, offers: str, told: str, hands: Hands) -> Conversation:
    """Sort out what answers the story's actions; `offers` is the text in which tools are named."""
    received: list[Received] = []
    searched: set[str] = set()
    # What came after prose of the story's own, until its next action; None while nothing is awaited.
    heard: list[str] | None = None
    for utterance in utterances:
        match utterance:
            case ToolAnswer(id=name, text=text):
                _take(heard, received)
                heard = None
                if name.startswith(STORY_ID):
                    received.append(Received(text))
                else:
                    searched.add(name.removeprefix(SEARCH_ID))
            case Said(text) if text.lstrip().startswith(VOICE):
                _take(heard, received)
                heard = []
            case Heard(text) if heard is not None:
                heard.append(text)
            case Said() | Heard():
                pass
    _take(heard, received)
    offered = frozenset(re.findall(re.escape(hands.prefix) + r"([a-z_]+)", offers)) if hands.prefix else frozenset()
    return Conversation(offered, told, tuple(received), frozenset(searched))


def _take(heard: list[str] | None, received: list[Received]) -> None:
    """Count the last that was heard as the answer to prose; clients repeat files and acknowledge before it."""
    if heard:
        received.append(Received(heard[-1]))
