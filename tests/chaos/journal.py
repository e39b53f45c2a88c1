"""What an agent asked for and what it was told, line by line, so that it outlives the agent.

A line is written before each call and after each reply. What was told is what the server has acknowledged: afterwards
it has to be there, exactly once. What was asked and never answered may be there, once at most.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Which arguments and which parts of a reply are kept: what tells one effect from another.
ASKED = ("title", "agent", "lease", "because", "summary", "commit")
TOLD = (
    "kind",
    "change",
    "stage",
    "title",
    "lease",
    "evaluation",
    "attempt",
    "commit",
    "state",
    "outcome",
    "stage_state",
    "verdict",
)
WHY_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one connection: `told` when it was answered, `refused` a code, neither when nobody knows."""

    agent: str
    connection: str
    tool: str
    key: str | None
    asked: Mapping[str, object]
    told: Mapping[str, object] | None
    refused: str | None
    why: str = ""


class Journal:
    """The journal of one life of one agent. Each line reaches the system before anything else happens."""

    def __init__(self, file: Path) -> None:
        self._file: IO[str] = file.open("a", encoding="utf-8")
        self._calls = 0

    def ask(self, connection: str, tool: str, arguments: Mapping[str, object]) -> int:
        """Note a call before it is made; its number."""
        self._calls += 1
        kept = {name: arguments[name] for name in ASKED if name in arguments}
        self._note({"n": self._calls, "via": connection, "tool": tool, "key": arguments.get("key"), "asked": kept})
        return self._calls

    def told(self, call: int, reply: Mapping[str, object]) -> None:
        """Note what was answered."""
        self._note({"n": call, "told": {name: reply[name] for name in TOLD if reply.get(name) is not None}})

    def refused(self, call: int, code: str, message: str) -> None:
        """Note what it was refused with."""
        self._note({"n": call, "refused": code, "why": message[:WHY_CHARS_MAX]})

    def unanswered(self, call: int, why: str) -> None:
        """Note that nobody knows what became of it."""
        self._note({"n": call, "why": why[:WHY_CHARS_MAX]})

    def close(self) -> None:
        """Nothing more will be noted."""
        self._file.close()

    def _note(self, entry: Mapping[str, object]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


def read_journals(folder: Path) -> Iterator[Call]:
    """Every call of every life, in no particular order of lives."""
    for file in sorted(folder.glob("*.jsonl")):
        entries: dict[int, dict[str, object]] = {}
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of an agent that was killed while it wrote
            entries.setdefault(int(entry["n"]), {}).update(entry)
        for entry in entries.values():
            yield _call_of(file.stem, entry)


def _call_of(life: str, entry: Mapping[str, object]) -> Call:
    asked, told, key, refused = entry["asked"], entry.get("told"), entry["key"], entry.get("refused")
    assert isinstance(asked, dict)
    assert told is None or isinstance(told, dict)
    return Call(
        agent=life.partition("-")[0],
        connection=f"{life}/{entry['via']}",
        tool=str(entry["tool"]),
        key=None if key is None else str(key),
        asked=asked,
        told=told,
        refused=None if refused is None else str(refused),
        why=str(entry.get("why", "")),
    )
