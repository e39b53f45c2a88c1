"""What a scripted model and a client say to each other, without any vendor's wire format.

A *story* is a generator: it yields what the model does next and is sent what the client gave back. A model's
endpoint gets the whole conversation with every request, so a story is replayed from its beginning each time
(`next_action`). That makes the model stateless: a client that repeats a request gets the same answer.
A story must therefore be pure: it decides by what it has received and by nothing else.
"""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CallTool:
    """Call one of gatewright's tools, by the server's own name for it."""

    tool: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class WriteFile:
    """Write a file with whatever the client offers for that: its file tool or its shell."""

    path: str
    text: str


@dataclass(frozen=True)
class Say:
    """Answer in prose, which ends the client's run."""

    text: str


Action = CallTool | WriteFile | Say


@dataclass(frozen=True)
class Received:
    """The client's answer to one action, exactly as the model got to read it."""

    text: str

    def data(self) -> dict[str, object]:
        """The first JSON object in the text, which some clients wrap in words of their own; StoryError if none."""
        start = self.text.find("{")
        if start < 0:
            raise StoryError(f"no JSON in what the client gave back: {self.text[:200]!r}")
        try:
            value, _ = json.JSONDecoder().raw_decode(self.text, start)
        except ValueError as problem:
            raise StoryError(f"JSON cut short by the client: {self.text[:200]!r}") from problem
        assert isinstance(value, dict)
        return value


@dataclass(frozen=True)
class Conversation:
    """One request to the model: what the client offers it, and the answers to its actions, oldest first."""

    offered: frozenset[str]
    """gatewright's tools that the model knows of, under the server's names, whether loaded or only listed."""
    instructions: str
    """The server's instructions as the client hands them on; empty when it does not."""
    received: tuple[Received, ...]


class StoryError(Exception):
    """The client or the server did something that the story has no continuation for."""


Story = Callable[[], Generator[CallTool | WriteFile, Received, str]]


def next_action(story: Story, received: Sequence[Received]) -> Action:
    """What the model does after these answers; a story that cannot go on ends with a sentence that says why."""
    return _replay(story, received)[-1]


def exchanges(story: Story, received: Sequence[Received]) -> list[tuple[Action, Received]]:
    """Every action that was answered, with its answer."""
    return list(zip(_replay(story, received), received, strict=False))


def _replay(story: Story, received: Sequence[Received]) -> list[Action]:
    actions: list[Action] = []
    telling = story()
    try:
        actions.append(next(telling))
        for answer in received:
            # Not a comprehension: the story's end would surface there as a RuntimeError.
            actions.append(telling.send(answer))  # noqa: PERF401
    except StopIteration as ended:
        actions.append(Say(ended.value))
    except StoryError as problem:
        actions.append(Say(f"I cannot go on: {problem}"))
    return actions
