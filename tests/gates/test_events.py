"""Events are kept for ever: what was ever written stays readable, and means what it meant."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gatewright.schemas.events import EventUnreadable, event_adapter, exported, read_event

from .event_samples import FROZEN, event_classes, kind_of, line_of

LINES = FROZEN.read_text("utf-8").splitlines()
NAMES = [f"{number}-{json.loads(line)['kind']}" for number, line in enumerate(LINES, 1)]
# Of the lines so far, some of them without what came later. A new one is added below, and may then be counted here.
FROZEN_LINES = 46
FROZEN_SHA256 = "432b38021b243dacaf0921c9a61588c410a97cf02ad5707bb8dbf1ef23c5a09c"


def paths_of(value: object, where: str = "") -> Iterator[str]:
    """Every field that a JSON value has, as a path; items of a list share theirs."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield f"{where}{name}"
            yield from paths_of(part, f"{where}{name}.")
    elif isinstance(value, list):
        for item in value:
            yield from paths_of(item, where)


def kept(old: Any, new: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether all that the one says is said by the other; a field that is new has its default there."""
    match old, new:
        case dict(), dict():
            return all(name in new and kept(part, new[name]) for name, part in old.items())
        case list(), list():
            return len(old) == len(new) and all(kept(a, b) for a, b in zip(old, new, strict=True))
        case _:
            return bool(old == new)


@pytest.mark.parametrize("line", LINES, ids=NAMES)
def test_what_was_ever_written_is_read_and_says_the_same(line: str) -> None:
    event = read_event(line)

    assert kept(json.loads(line), json.loads(event_adapter().dump_json(event)))


def test_the_samples_are_never_changed_only_added_to() -> None:
    frozen = "\n".join(LINES[:FROZEN_LINES])

    assert len(LINES) >= FROZEN_LINES
    assert hashlib.sha256(frozen.encode()).hexdigest() == FROZEN_SHA256, "an old line was changed: old stores have it"


@pytest.mark.parametrize("event_class", tuple(event_classes()), ids=kind_of)
def test_every_field_of_every_kind_is_in_a_sample(event_class: type) -> None:
    kind = kind_of(event_class)
    sampled = {path for line in LINES if json.loads(line)["kind"] == kind for path in paths_of(json.loads(line))}
    line = line_of(event_class)

    assert set(paths_of(json.loads(line))) <= sampled, f"add to {FROZEN.name}:\n{line}"


def test_no_two_kinds_share_a_name() -> None:
    kinds = [kind_of(event_class) for event_class in event_classes()]

    assert len(set(kinds)) == len(kinds)


def test_a_kind_that_this_version_does_not_know_is_told_by_its_name() -> None:
    with pytest.raises(EventUnreadable, match="a kind that this version does not know: 'stage_blessed'"):
        read_event('{"kind": "stage_blessed", "at": "2026-01-02T03:04:05Z"}')


@pytest.mark.parametrize(
    ("sample", "where"),
    [("stage_opened", "mood"), ("stage_claimed", "lease.mood"), ("attempt_failed", "gates.mood")],
)
def test_a_field_that_this_version_does_not_know_is_not_passed_over(sample: str, where: str) -> None:
    """Replayed without it, the change might become another one."""
    event = json.loads(next(line for line in LINES if json.loads(line)["kind"] == sample))
    place = event
    for name in where.split(".")[:-1]:
        place = place[name][0] if isinstance(place[name], list) else place[name]
    place["mood"] = "good"

    with pytest.raises(EventUnreadable, match=f"'{sample}' has a field '{where}', which a newer gatewright wrote"):
        read_event(json.dumps(event))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "stage_opened"}', '{"kind": "stage_opened", "at": 1}'])
def test_a_damaged_event_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(EventUnreadable, match="an event"):
        read_event(text)


def test_an_exported_line_says_where_it_belongs_and_is_an_event_again() -> None:
    line = exported("c7", 3, read_event(LINES[1]))

    assert line == {"format": 1, "change": "c7", "number": 3, "event": json.loads(LINES[1])}
