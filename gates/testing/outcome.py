"""What one run of a test suite said; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import TypeAdapter

# How pytest names parameters that have no text of their own: the argument's name and the number of the row.
_NUMBERED = re.compile(r"(?<![^-])([^\W\d]\w*?)\d+(?=-|\]$)")


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

    def passes(self, name: str) -> bool:
        """Whether the run has this case, and it passed."""
        return name in self.cases and self.cases[name].result is Result.PASSED

    def with_old_names(self, moved: Mapping[str, str]) -> "SuiteRun":
        """The run as if the files that were moved still had their names on the base."""
        if not moved:
            return self
        cases = {old_name(name, case.file, moved): _moved(case, moved) for name, case in self.cases.items()}
        broken = {moved.get(path, path): _moved(case, moved) for path, case in self.broken.items()}
        return replace(self, cases=cases, broken=broken)

    def with_known_names(self, base: "SuiteRun") -> "SuiteRun":
        """The run as if those cases of the base that are missing here only for their id still had it.

        A row that is added to a test's parameters gives the rows after it other numbers, and examples take the module
        of their function into their id. Neither says less than an edit of the test that keeps its id would.
        """
        fresh: dict[str, list[str]] = {}
        for name, case in self.cases.items():
            kin = None if name in base.cases else _kin(name, case.file in self.doctests)
            if kin is not None:
                fresh.setdefault(kin, []).append(name)
        renamed: dict[str, str] = {}
        for name, case in base.cases.items():
            kin = None if name in self.cases else _kin(name, case.file in base.doctests)
            if kin is not None and fresh.get(kin):
                renamed[fresh[kin].pop(0)] = name
        return replace(self, cases={renamed.get(name, name): case for name, case in self.cases.items()})


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


def _kin(name: str, is_example: bool) -> str | None:  # noqa: FBT001 - which of two kinds of ids it is
    """What the ids of one test have in common that differ by number or module; None for ids that say it all."""
    if is_example:
        return name.rpartition(".")[2]
    function, bracket, parameters = name.partition("[")
    plain = _NUMBERED.sub(r"\1#", parameters)
    return f"{function}[{plain}" if bracket and plain != parameters else None


def _moved(case: Case, moved: Mapping[str, str]) -> Case:
    return replace(case, file=moved.get(case.file, case.file))


@cache
def _adapter() -> "TypeAdapter[SuiteRun]":
    from pydantic import TypeAdapter

    return TypeAdapter(SuiteRun)
