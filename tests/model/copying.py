"""`dataclasses.replace` for a search that calls it millions of times: the same, the fields looked up once."""

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")

# `Any`: how a class of plain values is called, and what its fields are, is known only when it runs.
Shape = tuple[Callable[..., Any], Callable[[Any], tuple[Any, ...]], dict[str, int]]

_SHAPES: dict[type, Shape] = {}


def replaced(value: T, /, **changes: object) -> T:
    """A copy of a frozen value with other fields, as `dataclasses.replace` makes it."""
    kind = type(value)
    shape = _SHAPES.get(kind)
    make, values, places = shape if shape is not None else _SHAPES.setdefault(kind, _shape(value))
    found = [*values(value)]
    for name, other in changes.items():
        found[places[name]] = other
    copy: T = make(*found)
    return copy


def _shape(value: Any) -> Shape:  # noqa: ANN401 - any dataclass
    names = [field.name for field in fields(value)]
    assert len(names) > 1, "one name alone would not be given back as a tuple"
    return type(value), attrgetter(*names), {name: place for place, name in enumerate(names)}
