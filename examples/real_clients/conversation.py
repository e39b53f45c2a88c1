"""What a scripted model and a client say to each other, without any vendor's wire format.

A *story* is a generator: it yields what the model does next and is sent what the client gave back. A model's
endpoint gets the whole conversation with every request, so a story is replayed from its beginning each time
(`next_action`). That makes the model stateless: a client that repeats a request gets the same answer.
A story must therefore be pure: it decides by what it has received and by nothing else.
"""

import re
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
    """Answer in prose, which ends the client's run unless something sends the model back to work."""

    text: str


Action = CallTool | WriteFile | Say


@dataclass(frozen=True)
class Received:
    """The client's answer to one action, exactly as the model got to read it: JSON, prose, or both."""

    text: str

    def find(self, name: str) -> str | None:
        """The first text of this name, read as a model reads: `"name": "text"` in JSON, `name: text` in prose."""
        found = re.search(rf'"{name}": ?"((?:[^"\\]|\\.)*)"|^\s*{name}: (.+)$', self.text, re.MULTILINE)
        return (found[1] if found[1] is not None else found[2].strip()) if found else None

    def get(self, name: str) -> str:
        """As `find`; StoryError when it says nothing of that."""
        found = self.find(name)
        if found is None:
            raise StoryError(f"the client gave back no {name!r}: {self.text[:300]!r}")
        return found

    def says(self, name: str, value: str) -> bool:
        """Whether the value is told under this name anywhere, in a list too."""
        return re.search(rf'\b{name}(": ?"|: ){re.escape(value)}\b', self.text) is not None


@dataclass(frozen=True)
class Conversation:
    """One request to the model: what the client offers and tells it, and the answers to its actions, oldest first."""

    offered: frozenset[str]
    """gatewright's tools that the model knows of, under the server's names, whether loaded or only listed."""
    told: str
    """What the client itself says to its model: system prompt, reminders, servers' instructions."""
    received: tuple[Received, ...] = ()
    searched: frozenset[str] = frozenset()
    """gatewright's tools that the model has looked up, where a client shows only names at first."""


class StoryError(Exception):
    """The client or the server did something that the story has no continuation for."""


Telling = Generator[Action, Received, str]
Story = Callable[[], Telling]


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
            actions.append(telling.send(answer))  # noqa: PERF401 - in a comprehension its end were a RuntimeError
    except StopIteration as ended:
        actions.append(Say(ended.value))
    except StoryError as problem:
        actions.append(Say(f"I cannot go on: {problem}"))
    return actions
