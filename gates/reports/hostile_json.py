"""JSON that nobody vouches for: read whole, or refused with a sentence. Pure.

Readers ask for the members that they need by `member`, `text_of`, `whole_of` and their like, which refuse a wrong type.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

from .reported import ReportUnreadable

JSON_BYTES_MAX = 20_000_000
# Each value costs some sixty bytes; the signs that separate them are counted before anything is built.
VALUES_MAX = 2_000_000
NUMBER_MAX = 1_000_000_000

JsonObject = Mapping[str, object]
T = TypeVar("T")


def read_json(data: bytes) -> object:
    """The document. Raises `ReportUnreadable` for what is too large or deep, ambiguous, or no JSON."""
    if len(data) > JSON_BYTES_MAX:
        raise ReportUnreadable(f"The report has {len(data)} bytes, more than {JSON_BYTES_MAX}.")
    if not data.strip():
        raise ReportUnreadable("The report is empty.")
    if sum(map(data.count, (b"[", b"{", b","))) > VALUES_MAX:
        raise ReportUnreadable(f"The report has more than {VALUES_MAX} values.")
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_make_object, parse_constant=_refuse_constant)
    except RecursionError as exc:
        raise ReportUnreadable("The report is nested too deep.") from exc
    except ValueError as exc:
        raise ReportUnreadable(f"The report is no complete JSON: {exc}.") from exc


def as_object(value: object, called: str) -> JsonObject:
    """The value as an object; `called` begins the sentence that refuses it."""
    if not isinstance(value, dict):
        raise ReportUnreadable(f"{called} is no object.")
    return cast(JsonObject, value)


def as_list(value: object, called: str) -> Sequence[object]:
    """The value as a list."""
    if not isinstance(value, list):
        raise ReportUnreadable(f"{called} is no list.")
    return value


def text_of(owner: JsonObject, name: str, default: T) -> str | T:
    """A member that is a text, or null or missing, which gives the default."""
    value = owner.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise ReportUnreadable(f"'{name}' is no text in the report.")
    return value


def whole_of(owner: JsonObject, name: str, *, least: int = 0, most: int = NUMBER_MAX) -> int | None:
    """A member that is a whole number within the bounds; None when it is null or missing."""
    value = owner.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ReportUnreadable(f"'{name}' is no number from {least} to {most} in the report.")
    return value


def object_of(owner: JsonObject, name: str) -> JsonObject:
    """A member that is an object; empty when it is null or missing."""
    value = owner.get(name)
    return {} if value is None else as_object(value, f"'{name}'")


def objects_of(owner: JsonObject, name: str) -> Sequence[JsonObject]:
    """A member that is a list of objects; empty when it is null or missing."""
    return [as_object(value, f"An entry of '{name}'") for value in _list_of(owner, name)]


def texts_of(owner: JsonObject, name: str) -> Sequence[str]:
    """A member that is a list of texts; empty when it is null or missing."""
    found = _list_of(owner, name)
    if not all(isinstance(value, str) for value in found):
        raise ReportUnreadable(f"An entry of '{name}' is no text.")
    return cast(Sequence[str], found)


def _list_of(owner: JsonObject, name: str) -> Sequence[object]:
    value = owner.get(name)
    return () if value is None else as_list(value, f"'{name}'")


def _make_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        # Readers do not agree which of the two counts.
        raise ValueError("an object has a key twice")
    return made


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")
