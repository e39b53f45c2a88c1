"""What may fail, and why: the baseline, and how results are held against it.

A baseline is a YAML file with a reason for every entry, which is a `scenario` or a `scenario:check`. `not_asked` names
what says nothing about the server it ran against, because it asks for names that there are not: its results are left
out, passes too. `expected` names what does not pass: a listed one that passes is as wrong as an unlisted one that does
not. Only a success is a pass: what was skipped or only warned of is listed like a failure. Whatever is
listed, each message on the wire must fit the protocol's schema.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from .suite import Check, Status

PASSES = (Status.SUCCESS, Status.INFO)
# The suite's own check, in every scenario, of each message that the server sent.
WIRE = "wire-schema-valid"


class Baseline(BaseModel):
    """One server's; the reasons are for people, and there is no entry without one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    not_asked: dict[str, str] = Field(default_factory=dict)
    expected: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the baseline makes of one run, in checks of the scenarios that were asked; a good one has no problems."""

    scenarios: int
    passed: int
    expected: int
    problems: tuple[str, ...]


def read_baseline(path: Path) -> Baseline:
    """The file as a model; every reason says something."""
    baseline = Baseline.model_validate(yaml.safe_load(path.read_text("utf-8")))
    empty = [name for name, reason in {**baseline.not_asked, **baseline.expected}.items() if not reason.strip()]
    assert not empty, f"{path.name} gives no reason for {', '.join(empty)}"
    return baseline


def join(baselines: Iterable[Baseline]) -> Baseline:
    """The entries of all of them."""
    found = list(baselines)
    not_asked = {entry: reason for baseline in found for entry, reason in baseline.not_asked.items()}
    expected = {entry: reason for baseline in found for entry, reason in baseline.expected.items()}
    return Baseline(not_asked=not_asked, expected=expected)


def judge(checks: Iterable[Check], baseline: Baseline) -> Judgement:
    """Hold the checks of one run against the baseline; entries about scenarios that the run did not have are left."""
    asked = [check for check in checks if _entry_of(check, baseline.not_asked) is None]
    about = [check for check in asked if check.scenario not in baseline.not_asked]
    listed = {check: _entry_of(check, baseline.expected) for check in asked}
    wrong = [check for check in asked if check.status not in PASSES]
    failed = {listed[check] for check in wrong} - {None}
    stale = {entry for entry in listed.values() if entry is not None} - failed
    problems = (
        *(f"{check.scenario}:{check.id} {check.status}: {check.message}" for check in wrong if listed[check] is None),
        *(f"{entry} passes, but is listed: {baseline.expected[entry]}" for entry in sorted(stale)),
        *(f"{scenario} passed nothing" for scenario in _silent(about, baseline)),
    )
    passed = sum(check.status is Status.SUCCESS and listed[check] is None for check in about)
    expected = sum(listed[check] is not None for check in wrong)
    return Judgement(len(_names(about)), passed, expected, problems)


def unknown_entries(baseline: Baseline, known: Iterable[str]) -> Iterator[str]:
    """Entries about scenarios that the suite does not have: it was renewed, or somebody mistyped."""
    names = set(known)
    yield from (entry for entry in (*baseline.not_asked, *baseline.expected) if entry.partition(":")[0] not in names)


def _entry_of(check: Check, entries: Mapping[str, str]) -> str | None:
    """The entry that a check falls under."""
    exact = f"{check.scenario}:{check.id}"
    if exact in entries:
        return exact
    return check.scenario if check.scenario in entries and check.id != WIRE else None


def _silent(about: Collection[Check], baseline: Baseline) -> Iterator[str]:
    """Scenarios without an entry and without a success: nothing was shown."""
    loud = _names(check for check in about if check.status is Status.SUCCESS and check.id != WIRE)
    yield from sorted(_names(about) - loud - set(baseline.expected))


def _names(checks: Iterable[Check]) -> set[str]:
    return {check.scenario for check in checks}
