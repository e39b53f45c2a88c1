"""Read a YAML file that people wrote, into plain values that remember their lines.

The text is taken apart into events and bounded before any value is built: bytes, depth, and nodes with every alias
counted as what it stands for, so that a bomb of aliases is refused instead of unfolded. There are no tags, no second
document and no key twice. Plain scalars are read as in YAML 1.2 (`true`, `false`, `null`, decimal numbers, else text),
and the words over which the two versions of YAML disagree (`yes`, `no`, `on`, `off`) are refused rather than guessed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a file is read, and how.

    With `keys_are_words`, `on` as a key is a word and no doubtful boolean. With `numbers_are_plain`, what is a number
    for some readers only is refused; otherwise it is text.
    """

    bytes_max: int
    depth_max: int
    nodes_max: int
    keys_are_words: bool = False
    numbers_are_plain: bool = False


POLICY_BOUNDS = Bounds(bytes_max=256_000, depth_max=20, nodes_max=5_000)

_CONSTANTS: Mapping[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_DOUBTFUL = {"yes": "true", "on": "true", "no": "false", "off": "false"}
# Eighteen digits are more than any number of a policy needs, and fewer than Python refuses to convert.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,18}(?:\.[0-9]{0,18}(?:[eE][-+]?[0-9]{1,2})?|[eE][-+]?[0-9]{1,2})")

# Octal, in other bases, with separators, by sixties, too long, without digits before the point, none; exponents.
_DISPUTED_NUMBER = re.compile(
    r"[-+]?(?:0[0-9_]+|0[box][0-9a-fA-F_]+|[0-9]+_[0-9_.]*|[0-9]+(?::[0-9]{1,2})+(?:\.[0-9]*)?|[0-9]{19,}|\.[0-9_]+"
    r"|[0-9]+\.?[0-9]*[eE][0-9]+|\.?[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)

# What PyYAML says, and what the person at the keyboard can do about it.
_HINTS: Mapping[str, str] = {
    r"found character '\t' that cannot start any token": "indent with spaces, not with tabs",
    "mapping values are not allowed here": "put a value that holds ': ' in quotes, and check the indentation",
    "could not find expected ':'": "check the line above, and the indentation",
    "found character '@' that cannot start any token": "put the value in quotes",
    "found character '`' that cannot start any token": "put the value in quotes",
    "found unexpected end of stream": "a quote or bracket is not closed",
    "while scanning an alias": "put a value that starts with '*' in quotes",
}


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """One thing that is wrong with a policy; `line` counts from 1, `key` is such as `stages.code.gates[1]` or empty."""

    file: str
    line: int
    key: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " + (f"{self.key}: " if self.key else "")
        return where + self.message + (f"; {self.hint}" if self.hint else "")


class PolicyInvalid(Exception):
    """The policy cannot be used; `str()` is one line for each problem, in the order of the file."""

    def __init__(self, problems: tuple[PolicyProblem, ...]) -> None:
        assert problems, "a policy is invalid because of something"
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


@dataclass(frozen=True, slots=True)
class Source:
    """A file as plain values (`dict list str int float bool None`), with the line of every key and item.

    `problems` are those that did not keep the rest from being read, so that the caller can report them with its own.
    """

    file: str
    value: object
    lines: Mapping[KeyPath, int]
    problems: tuple[PolicyProblem, ...]

    def line(self, path: KeyPath) -> int:
        """The line of the key, or that of the nearest key above it that the file has."""
        return next((self.lines[path[:size]] for size in range(len(path), -1, -1) if path[:size] in self.lines), 1)

    def problem(self, path: KeyPath, message: str, hint: str | None = None) -> PolicyProblem:
        return PolicyProblem(self.file, self.line(path), format_key(path), message, hint)


def read_yaml(data: bytes, *, file: str, bounds: Bounds = POLICY_BOUNDS) -> Source:
    """Read one document; raises `PolicyInvalid` when it cannot be read at all. `file` is its name in problems."""
    if len(data) > bounds.bytes_max:
        raise _unreadable(file, 1, f"the file has {len(data)} bytes; at most {bounds.bytes_max} are read")
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise _unreadable(file, line, "the file is not UTF-8", "save it as UTF-8") from exc
    builder = _Builder(file, bounds, yaml.parse(text, Loader=yaml.SafeLoader))
    try:
        return builder.read_document()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        said = exc.problem or exc.context or "this is not YAML"
        hint = _HINTS.get(said) or _HINTS.get(exc.context or "")
        raise _unreadable(file, mark.line + 1 if mark else 1, said, hint) from exc
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        raise _unreadable(file, line, f"the character U+{exc.character:04X} is not allowed in YAML") from exc


def format_key(path: KeyPath) -> str:
    """`stages.code.gates[1]` for `("stages", "code", "gates", 1)`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: object
    nodes: int


@dataclass
class _Builder:
    file: str
    bounds: Bounds
    events: Iterator[Event]
    nodes: int = 0
    lines: dict[KeyPath, int] = field(default_factory=dict)
    anchors: dict[str, _Anchored] = field(default_factory=dict)
    problems: list[PolicyProblem] = field(default_factory=list)

    def read_document(self) -> Source:
        next(self.events)  # The start of the stream.
        start = next(self.events)
        if isinstance(start, StreamEndEvent):
            raise _unreadable(self.file, 1, "the file is empty")
        assert isinstance(start, DocumentStartEvent)
        first = next(self.events)
        self.lines[()] = _line(first)
        value = self.read_node(first, ())
        next(self.events)  # The end of the document.
        following = next(self.events)
        if not isinstance(following, StreamEndEvent):
            raise _unreadable(self.file, _line(following), "a second document begins here; only one is read")
        return Source(self.file, value, self.lines, tuple(self.problems))

    def read_node(self, event: Event, path: KeyPath) -> object:
        before = self.nodes
        self.count(event, 1)
        if len(path) > self.bounds.depth_max:
            raise _unreadable(self.file, _line(event), f"values are nested deeper than {self.bounds.depth_max} levels")
        if isinstance(event, AliasEvent):
            return self.read_alias(event)
        if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None:
            self.problem(event, path, f"the tag {_shown_tag(event.tag)!r} is not read", "write the value without it")
        match event:
            case MappingStartEvent():
                value: object = self.read_mapping(path)
            case CollectionStartEvent():
                value = self.read_sequence(path)
            case _:
                assert isinstance(event, ScalarEvent)
                value = self.read_scalar(event, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(value, self.nodes - before)
        return value

    def read_mapping(self, path: KeyPath) -> dict[str, object]:
        values: dict[str, object] = {}
        own_lines: dict[str, int] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise _unreadable(
                    self.file, _line(event), "a key must be a word", "quote a key that starts with * { or ["
                )
            key, line = event.value, _line(event)
            self.count(event, 1)
            here = (*path, key)
            if key in own_lines:
                self.problem(event, here, f"the key stands here and on line {own_lines[key]}", "keep one of them")
                # Read all the same, so that what is wrong inside is told too, and what follows is not misread.
                self.read_node(next(self.events), here)
                continue
            if event.implicit[0] and key.lower() in _DOUBTFUL and not self.bounds.keys_are_words:
                self.problem(event, here, f"some readers of YAML take the key {key!r} for a boolean", f'write "{key}"')
            if event.implicit[0] and key == "<<":
                self.problem(event, here, "merge keys are not read", "write the keys out")
            own_lines[key] = self.lines.setdefault(here, line)
            values[key] = self.read_node(next(self.events), here)
        return values

    def read_sequence(self, path: KeyPath) -> list[object]:
        values: list[object] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            here = (*path, len(values))
            self.lines.setdefault(here, _line(event))
            values.append(self.read_node(event, here))
        return values

    def read_scalar(self, event: ScalarEvent, path: KeyPath) -> object:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text.lower() in _DOUBTFUL:
            meant = _DOUBTFUL[text.lower()]
            self.problem(event, path, f"{text!r} is a boolean or a word", f'write {meant}, or "{text}" for the word')
        if self.bounds.numbers_are_plain and _DISPUTED_NUMBER.fullmatch(text):
            hint = f'write a plain decimal number, or "{text}" for the text'
            self.problem(event, path, f"{text!r} is a number for some readers of YAML only", hint)
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _DECIMAL.fullmatch(text) else text

    def read_alias(self, event: AliasEvent) -> object:
        anchored = self.anchors.get(event.anchor or "")
        if anchored is None:
            raise _unreadable(self.file, _line(event), f"the alias *{event.anchor} stands for nothing before it")
        self.count(event, anchored.nodes)
        return anchored.value

    def count(self, event: Event, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > self.bounds.nodes_max:
            raise _unreadable(self.file, _line(event), f"the file holds more than {self.bounds.nodes_max} values")

    def problem(self, event: Event, path: KeyPath, message: str, hint: str) -> None:
        self.problems.append(PolicyProblem(self.file, _line(event), format_key(path), message, hint))


def _line(event: Event) -> int:
    assert event.start_mark is not None, "events of a parser know where they begin"
    return event.start_mark.line + 1


def _shown_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _unreadable(file: str, line: int, message: str, hint: str | None = None) -> PolicyInvalid:
    return PolicyInvalid((PolicyProblem(file, line, "", message, hint),))
