"""JSON as people write it into settings: find, put in and take out one member, and leave every other byte alone; pure.

Comments and trailing commas are read, because some clients take them. What is put in takes on the indentation, the line
ends and the trailing comma of what is there, so that taking it out again gives the text that was there before.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

DEPTH_MAX = 100

_BLANK = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/|\A\ufeff)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORD = re.compile(r"[-+.\w]+")
_INDENT = "  "


class WrongJson(Exception):
    """The text is not JSON, or not of the wanted form; `str()` is one sentence, `line` counts from 1."""

    def __init__(self, sentence: str, line: int) -> None:
        self.line = line
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class Value:
    """A value and where it stands in the text. `members` of an object; empty for everything else."""

    start: int
    end: int
    data: object
    members: "tuple[Member, ...]" = ()


@dataclass(frozen=True, slots=True)
class Member:
    """`"key": value`; `start` is where the key begins."""

    start: int
    key: str
    value: Value


def read(text: str) -> Value:
    """The value that the text holds, an empty object for blank text; raises `WrongJson`."""
    reader = _Reader(text)
    reader.skip()
    if reader.at == len(text):
        return Value(len(text), len(text), {})
    value = reader.value(0)
    reader.skip()
    if reader.at < len(text):
        raise reader.wrong("something follows the end")
    return value


def find(text: str, path: Sequence[str]) -> object:
    """The value at the path; None when there is none. Raises `WrongJson`."""
    value: Value | None = read(text)
    for key in path:
        value = None if value is None else _member(value, key)
    return None if value is None else value.data


def put(text: str, path: Sequence[str], data: object) -> str:
    """The text with `data` at the path; objects on the way are made. Raises `WrongJson` where one is something else."""
    if not text.strip():
        return json.dumps(_nested(path, data), indent=2, ensure_ascii=False) + "\n"
    value = read(text)
    for number, key in enumerate(path):
        if not isinstance(value.data, dict):
            where = f"`{path[number - 1]}`" if number else "the whole of it"
            raise WrongJson(f"{where} is not an object", _line_of(text, value.start))
        found = _member(value, key)
        if found is None:
            return _insert(text, value, key, _nested(path[number + 1 :], data))
        value = found
    if value.data == data:
        return text
    shown = _shown(data, text, _indent_at(text, value.start))
    return text[: value.start] + shown + text[value.end :]


def take(text: str, path: Sequence[str]) -> str:
    """The text without the member at the path; as it was when there is none. Raises `WrongJson`."""
    holder: Value | None = read(text)
    for key in path[:-1]:
        holder = None if holder is None else _member(holder, key)
    if holder is None:
        return text
    number = next((number for number, member in enumerate(holder.members) if member.key == path[-1]), None)
    return text if number is None else _remove(text, holder, number)


class _Reader:
    """Reads one value after the other from `at` on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0

    def wrong(self, sentence: str) -> WrongJson:
        return WrongJson(sentence, _line_of(self._text, self.at))

    def skip(self) -> None:
        """Go past blanks and comments."""
        self.at = _end_of_blank(self._text, self.at)

    def value(self, depth: int) -> Value:
        if depth > DEPTH_MAX:
            raise self.wrong("it is nested too deeply")
        match self._text[self.at : self.at + 1]:
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case '"':
                return self._scalar(_STRING)
            case _:
                return self._scalar(_WORD)

    def _scalar(self, form: re.Pattern[str]) -> Value:
        found = form.match(self._text, self.at)
        try:
            data = json.loads(found[0] if found else "")
        except ValueError:
            raise self.wrong("a value is wrong or missing") from None
        start, self.at = self.at, self.at if found is None else found.end()
        return Value(start, self.at, data)

    def _object(self, depth: int) -> Value:
        start = self.at
        members: list[Member] = []
        while self._goes_on("}", is_first=not members):
            key_start = self.at
            if self._text[self.at : self.at + 1] != '"':
                raise self.wrong("a name in double quotes is missing")
            key = str(self._scalar(_STRING).data)
            if any(member.key == key for member in members):
                raise self.wrong(f"`{key}` stands there twice")
            self.skip()
            self._expect(":")
            self.skip()
            members.append(Member(key_start, key, self.value(depth + 1)))
        return Value(start, self.at, {member.key: member.value.data for member in members}, tuple(members))

    def _array(self, depth: int) -> Value:
        start = self.at
        items: list[object] = []
        while self._goes_on("]", is_first=not items):
            items.append(self.value(depth + 1).data)
        return Value(start, self.at, items)

    def _goes_on(self, closing: str, *, is_first: bool) -> bool:
        """Go to the next member or item, or past the end."""
        if is_first:
            self.at += 1
        self.skip()
        if not is_first and self._text[self.at : self.at + 1] != closing:
            self._expect(",")
            self.skip()
        if self._text[self.at : self.at + 1] != closing:
            return True
        self.at += 1
        return False

    def _expect(self, character: str) -> None:
        if self._text[self.at : self.at + 1] != character:
            raise self.wrong(f"`{character}` is missing")
        self.at += 1


def _insert(text: str, holder: Value, key: str, data: object) -> str:
    """The text with one member more at the end of an object."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    outer = _indent_at(text, holder.start)
    last = holder.members[-1] if holder.members else None
    if last is not None and not _opens_line(text, last.start):
        shown = f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(data, ensure_ascii=False)}"
        comma = _comma_after(text, last.value.end)
        at, shown = (last.value.end, f", {shown}") if comma is None else (comma + 1, f" {shown},")
        return text[:at] + shown + text[at:]
    indent = outer + _unit(text) if last is None else _indent_at(text, last.start)
    shown = f"{line_end}{indent}{json.dumps(key, ensure_ascii=False)}: {_shown(data, text, indent)}"
    closing = holder.end - 1
    comma = None if last is None else _comma_after(text, last.value.end)
    # After the last comment, which is about what stands before it.
    at = _end_of_words(text, holder.start + 1 if last is None else last.value.end, closing)
    head, tail = text[:at], text[at:]
    if last is not None and comma is None:
        head = f"{text[: last.value.end]},{text[last.value.end : at]}"
    elif last is not None:
        shown += ","
    gap = "" if "\n" in text[at:closing] or last is not None else f"{line_end}{outer}"
    return f"{head}{shown}{gap}{tail}"


def _remove(text: str, holder: Value, number: int) -> str:
    member = holder.members[number]
    start = len(text[: member.start].rstrip())
    comma = _comma_after(text, member.value.end)
    if comma is not None:
        after = text[:start] + text[member.value.end : comma] + text[comma + 1 :]
    elif number:
        before = _comma_after(text, holder.members[number - 1].value.end)
        assert before is not None, "a member follows a comma"
        after = text[:before] + text[before + 1 : start] + text[member.value.end :]
    else:
        after = text[:start] + text[member.value.end :]
    if len(holder.members) == 1 and not after[holder.start + 1 : (end := after.index("}", start))].strip():
        after = after[: holder.start + 1] + after[end:]
    return after


def _member(value: Value, key: str) -> Value | None:
    return next((member.value for member in value.members if member.key == key), None)


def _nested(path: Sequence[str], data: object) -> object:
    for key in reversed(path):
        data = {key: data}
    return data


def _shown(data: object, text: str, indent: str) -> str:
    """The value as it is written at this depth of this text."""
    shown = json.dumps(data, indent=_unit(text), ensure_ascii=False)
    return shown.replace("\n", ("\r\n" if "\r\n" in text else "\n") + indent)


def _unit(text: str) -> str:
    """How far one level is indented here."""
    found = re.search(r'^([ \t]+)"', text, re.MULTILINE)
    return found[1] if found else _INDENT


def _indent_at(text: str, at: int) -> str:
    """The blanks that the line of this place begins with."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip())]


def _opens_line(text: str, at: int) -> bool:
    before = text[:at].rstrip(" \t")
    return before.endswith("\n")


def _comma_after(text: str, at: int) -> int | None:
    """Where the comma stands that comes next, comments apart; None when something else does."""
    at = _end_of_blank(text, at)
    return at if text[at : at + 1] == "," else None


def _end_of_words(text: str, start: int, end: int) -> int:
    """Where the last comment or comma between `start` and `end` ends; `start` when there is none."""
    return max(start, len(text[:end].rstrip()))


def _end_of_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found is not None, "it matches the empty text"
    return found.end()


def _line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
