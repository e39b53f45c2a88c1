"""JSON, YAML and TOML files as plain values that know their lines, bounded whoever wrote them; pure.

A file that readers could understand in two ways is refused: a key that stands twice, a tag, a merge key, a second YAML
document, `yes` and `no` as values, numbers that are none. Dates are text, as JSON has no others.
"""

import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal

from ..policies.yaml_source import Bounds, KeyPath, PolicyInvalid, read_yaml

Format = Literal["json", "yaml", "toml"]
FORMATS: Mapping[str, Format] = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}

DATA_BYTES_MAX = 1_000_000
DEPTH_MAX = 60
_BOUNDS = Bounds(
    bytes_max=DATA_BYTES_MAX, depth_max=DEPTH_MAX, nodes_max=200_000, keys_are_words=True, numbers_are_plain=True
)

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)$")


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a file is not read, as a sentence, with its line when that is known."""

    message: str
    line: int | None = None


class DataUnreadable(Exception):
    """The file says nothing that can be relied upon; `flaws` are never none."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        self.flaws = tuple(flaws)
        super().__init__(flaws[0].message)


@dataclass(frozen=True, slots=True)
class DataDocument:
    """The value, and the text from which lines are told."""

    value: object
    text: str
    kind: Format
    known_lines: Mapping[KeyPath, int] | None = None

    def lines(self) -> Mapping[KeyPath, int]:
        """The line of every key and item; of TOML none is known."""
        if self.known_lines is not None:
            return self.known_lines
        return _json_lines(self.text) if self.kind == "json" else {}


def format_of(path: str) -> Format | None:
    """The format that the name says."""
    return next((kind for suffix, kind in FORMATS.items() if path.lower().endswith(suffix)), None)


def read_data(data: bytes, kind: Format) -> DataDocument:
    """Read one file of at most `DATA_BYTES_MAX` bytes. Raises `DataUnreadable`."""
    if len(data) > DATA_BYTES_MAX:
        raise DataUnreadable([Flaw(f"It has {len(data)} bytes; at most {DATA_BYTES_MAX} are read.")])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise DataUnreadable([Flaw("It is not UTF-8 text.", data.count(b"\n", 0, exc.start) + 1)]) from exc
    if kind == "yaml":
        return _read_yaml(data, text)
    try:
        value = _load_json(text) if kind == "json" else _plain(tomllib.loads(text))
    except json.JSONDecodeError as exc:
        raise DataUnreadable([Flaw(f"It is not JSON: {exc.msg}.", exc.lineno)]) from exc
    except tomllib.TOMLDecodeError as exc:
        found = _TOML_LINE.search(str(exc))
        raise DataUnreadable([Flaw(f"It is not TOML: {exc}.", int(found[1]) if found else None)]) from exc
    except ValueError as exc:
        raise DataUnreadable([Flaw(f"It cannot be relied upon: {exc}.")]) from exc
    except RecursionError as exc:
        raise DataUnreadable([Flaw(f"Values are nested deeper than {DEPTH_MAX} levels.")]) from exc
    _check_depth(value)
    return DataDocument(value, text, kind)


def pointer(path: Sequence[str | int]) -> str:
    """The place as a JSON pointer (RFC 6901); empty for the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _read_yaml(data: bytes, text: str) -> DataDocument:
    try:
        source = read_yaml(data, file="", bounds=_BOUNDS)
    except PolicyInvalid as exc:
        raise DataUnreadable([_flaw(problem.message, problem.hint, problem.line) for problem in exc.problems]) from exc
    if source.problems:
        raise DataUnreadable([_flaw(problem.message, problem.hint, problem.line) for problem in source.problems])
    return DataDocument(source.value, text, "yaml", source.lines)


def _flaw(message: str, hint: str | None, line: int) -> Flaw:
    return Flaw(message[:1].upper() + message[1:] + (f"; {hint}." if hint else "."), line)


def _load_json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_refuse, parse_float=_finite)


def _without_doubles(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        double = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {json.dumps(double)[:100]} stands twice in one object")
    return found


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _plain(value: object) -> object:
    """TOML's values as JSON's: dates and times as text."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case datetime() | date() | time():
            return value.isoformat()
        case float() if not math.isfinite(value):
            raise ValueError(f"{value} is not a number of JSON")
        case _:
            return value


def _check_depth(value: object) -> None:
    level: list[object] = [value]
    for _ in range(DEPTH_MAX + 1):
        inner = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = [item for items in inner for item in items]
        if not level:
            return
    raise DataUnreadable([Flaw(f"Values are nested deeper than {DEPTH_MAX} levels.")])


def _json_lines(text: str) -> Mapping[KeyPath, int]:
    """The line of every value and key of a text that is known to be JSON."""
    lines: dict[KeyPath, int] = {}
    # The key or index in each open object or array; None in an object whose next key is not known yet.
    at: list[str | int | None] = []
    line, done = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line += text.count("\n", done, token.start())
        done = token.start()
        match token[0]:
            case "}" | "]":
                at.pop()
            case ",":
                at[-1] = at[-1] + 1 if isinstance(at[-1], int) else None
            case ":":
                pass
            case word if at and at[-1] is None:
                at[-1] = json.loads(word)
                lines[tuple(part for part in at if part is not None)] = line
            case word:
                lines.setdefault(tuple(part for part in at if part is not None), line)
                if word in "{[":
                    at.append(None if word == "{" else 0)
    return lines
