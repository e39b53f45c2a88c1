"""What one run of a test suite said; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Result(StrEnum):
    """XFAILED: failed as its author expected. FAILED includes a broken fixture before or after the test."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    XFAILED = "xfailed"


@dataclass(frozen=True, slots=True)
class Case:
    """One test. `file` is the one that it was collected from; `path` and `line` say where it failed, in the project."""

    result: Result
    file: str
    path: str | None = None
    line: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """The cases of a complete run by id; `broken` are files that could not be collected, by path.

    `failure` is set when the run as a whole could not be made (a conftest that cannot be imported, ...); there are no
    cases then. `doctests` are files whose examples were collected: code, not tests, whatever their name.
    """

    cases: Mapping[str, Case] = field(default_factory=dict)
    broken: Mapping[str, Case] = field(default_factory=dict)
    failure: Case | None = None
    doctests: frozenset[str] = frozenset()
    version: str = ""

    @property
    def ran(self) -> frozenset[str]:
        """The ids of tests that really ran."""
        return frozenset(name for name, case in self.cases.items() if case.result in (Result.PASSED, Result.FAILED))

    @property
    def failing(self) -> tuple[str, ...]:
        """The ids of tests that failed."""
        return tuple(name for name, case in self.cases.items() if case.result is Result.FAILED)

    @property
    def files(self) -> frozenset[str]:
        """The files that tests, other than examples in code, were collected from."""
        return frozenset(case.file for case in self.cases.values()) - self.doctests

    def with_old_names(self, moved: Mapping[str, str]) -> "SuiteRun":
        """The run as if the files that were moved still had their names on the base."""
        if not moved:
            return self
        cases = {old_name(name, case.file, moved): _moved(case, moved) for name, case in self.cases.items()}
        broken = {moved.get(path, path): _moved(case, moved) for path, case in self.broken.items()}
        return replace(self, cases=cases, broken=broken)


def old_name(name: str, file: str, moved: Mapping[str, str]) -> str:
    """The id that a test of a moved file has on the base."""
    old = moved.get(file)
    return old + name[len(file) :] if old is not None and name.startswith(file) else name


def format_run(run: SuiteRun) -> str:
    """The run as JSON."""
    return _adapter().dump_json(run).decode()


def parse_run(text: str) -> SuiteRun:
    """The inverse of `format_run`."""
    return _adapter().validate_json(text)


def _moved(case: Case, moved: Mapping[str, str]) -> Case:
    return replace(case, file=moved.get(case.file, case.file))


@cache
def _adapter() -> "TypeAdapter[SuiteRun]":
    from pydantic import TypeAdapter

    return TypeAdapter(SuiteRun)
