"""One of every event with all that it can hold: what `events_format_1.jsonl` is made of.

Lines are added there, for a new kind or a new field; none is ever changed or taken away.
"""

import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gatewright.schemas.events import Event, event_adapter

FROZEN = Path(__file__).with_name("events_format_1.jsonl")
AT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
SHA = "0123456789abcdef0123456789abcdef01234567"
# Where the name says what stands there; elsewhere it is the name itself.
TEXTS = {
    **dict.fromkeys(("commit", "tree", "base", "stage_base", "old", "new", "digest", "inputs"), SHA),
    "evaluation": "c1.e2",
    "retry": "c1.e3",
    "change": "c1",
    "stage": "code",
    "by": "person:eve",
    "person": "person:eve",
    "principal": "stdio:1",
}


def event_classes() -> Iterator[type]:
    """Every class of event, in the order of the union."""
    yield from get_args(get_args(Event)[0])


def kind_of(event_class: type) -> str:
    (kind,) = get_args(get_type_hints(event_class)["kind"])
    return str(kind)


def line_of(event_class: type) -> str:
    """A line of the frozen file."""
    return event_adapter().dump_json(made(event_class, "")).decode()


def made(hint: Any, name: str) -> Any:  # noqa: ANN401 - of any type there is
    """A value of a type, with nothing left empty."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return made(next(argument for argument in arguments if argument is not type(None)), name)
    if origin is tuple:
        return tuple(made(argument, name) for argument in arguments if argument is not Ellipsis)
    if origin is Literal:
        return arguments[0]
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{field.name: made(hints[field.name], field.name) for field in fields(hint)})  # type: ignore[operator]  # a class of ours
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    simple = {str: TEXTS.get(name, name), int: 1, float: 1.5, bool: True, datetime: AT}
    return simple[hint]
