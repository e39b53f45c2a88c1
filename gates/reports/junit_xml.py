"""Read JUnit reports: hostile ones safely, whole or not at all, and only when counts and cases agree. Pure."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

from ..text import clean_text, shorten
from .reported import ReportUnreadable

DEPTH_MAX = 64
TEXT_CHARS_MAX = 20_000
# Each costs about a kilobyte.
CASES_MAX = 250_000

PYTEST = "pytest"


@dataclass
class JUnitCase:
    """One <testcase>, with the attributes of the suite around it.

    Per kind of result element (failure, error, skipped): how many there are, and message and text of the first.
    """

    attributes: dict[str, str]
    suite: dict[str, str]
    # The names of the suites around it, the outermost first.
    within: tuple[str, ...] = ()
    elements: Counter[str] = field(default_factory=Counter)
    told: dict[str, tuple[str, str]] = field(default_factory=dict)


def read_junit(data: bytes) -> list[JUnitCase]:
    """Return the cases in the report's order. Raises `ReportUnreadable`."""
    reader = _JUnitReader()
    try:
        reader.parse(data)
    except expat.ExpatError as exc:
        raise ReportUnreadable(f"The report is no complete XML: {exc}.") from exc
    except (LookupError, ValueError) as exc:
        raise ReportUnreadable(f"The report is in an encoding that cannot be read: {exc}.") from exc
    return reader.cases


@dataclass
class _Suite:
    attributes: dict[str, str]
    # Of this suite alone, and with the suites in it: tools count either way.
    own: Counter[str] = field(default_factory=Counter)
    all: Counter[str] = field(default_factory=Counter)
    own_names: set[tuple[str, str]] = field(default_factory=set)
    all_names: set[tuple[str, str]] = field(default_factory=set)


class _JUnitReader:
    """Collects cases while expat walks the document."""

    def __init__(self) -> None:
        self.cases: list[JUnitCase] = []
        self._path: list[str] = []
        self._suites: list[_Suite] = []
        self._case: JUnitCase | None = None
        self._message = ""
        self._text: list[str] = []
        self._text_chars = 0

    def parse(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        # Without a document type there are no entities, hence none that expand to gigabytes or name files.
        parser.StartDoctypeDeclHandler = _refuse_document_type
        parser.Parse(data, True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if not self._path and name not in ("testsuites", "testsuite"):
            raise ReportUnreadable(f"The report is no JUnit report: it starts with <{shorten(clean_text(name), 40)}>.")
        if len(self._path) >= DEPTH_MAX:
            raise ReportUnreadable(f"The report is nested more than {DEPTH_MAX} deep.")
        self._path.append(name)
        if name in ("testsuites", "testsuite") and self._case is None:
            self._suites.append(_Suite(attributes))
        elif name == "testcase" and self._case is None:
            names = (suite.attributes.get("name", "") for suite in self._suites)
            self._case = JUnitCase(attributes, self._suites[-1].attributes, tuple(filter(None, names)))
        elif self._is_result():
            self._message, self._text, self._text_chars = attributes.get("message", ""), [], 0

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        case = self._case
        if case is not None and self._is_result():
            case.elements[name] += 1
            case.told.setdefault(name, (self._message, "".join(self._text)))
        elif case is not None and name == "testcase" and self._path.count("testcase") == 1:
            self._finish_case(case)
            self._case = None
        elif case is None and name in ("testsuites", "testsuite"):
            self._finish_suite(self._suites.pop())
        self._path.pop()

    def _characters(self, text: str) -> None:
        if self._text_chars < TEXT_CHARS_MAX and self._is_result():
            self._text.append(text[:TEXT_CHARS_MAX])
            self._text_chars += len(text)

    def _is_result(self) -> bool:
        """Whether the innermost element is a failure, error or skipped directly below the current case."""
        return (
            self._case is not None
            and self._path[-2] == "testcase"
            and self._path[-1] in ("failure", "error", "skipped")
        )

    def _finish_case(self, case: JUnitCase) -> None:
        suite = self._suites[-1]
        self.cases.append(case)
        if len(self.cases) > CASES_MAX:
            raise ReportUnreadable(f"The report has more than {CASES_MAX} cases.")
        suite.own_names.add((case.attributes.get("classname", ""), case.attributes.get("name", "")))
        suite.own["tests"] += 1
        for name, count in case.elements.items():
            suite.own[f"{name} cases"] += 1
            suite.own[name] += count

    def _finish_suite(self, suite: _Suite) -> None:
        suite.all += suite.own
        suite.all_names |= suite.own_names
        _check_counts(suite)
        if self._suites:
            self._suites[-1].all += suite.all
            self._suites[-1].all_names |= suite.all_names


def _refuse_document_type(*_declaration: object) -> None:
    raise ReportUnreadable("The report declares a document type; a JUnit report has none.")


def _check_counts(suite: _Suite) -> None:
    told = {name: _told(suite, name) for name in ("tests", "failures", "errors")}
    views = ((suite.own, suite.own_names), (suite.all, suite.all_names))
    if told["tests"] is not None and not any(
        # pytest counts subtests that passed, which have no case.
        len(names) <= told["tests"]
        and (told["tests"] <= counted["tests"] or PYTEST in suite.attributes.get("name", ""))
        for counted, names in views
    ):
        raise _disagreement(told["tests"], "tests", suite.all["tests"])
    both = told["failures"], told["errors"]
    # mocha's header calls every failure an error.
    if None not in both and any(
        _agrees(sum(filter(None, both)), counted, ("failure", "error")) for counted, _ in views
    ):
        return
    for number, name, element in ((both[0], "failures", "failure"), (both[1], "errors", "error")):
        if number is not None and not any(_agrees(number, counted, (element,)) for counted, _ in views):
            raise _disagreement(number, name, suite.all[element])


def _told(suite: _Suite, name: str) -> int | None:
    given = suite.attributes.get(name, "").strip()
    if given and not re.fullmatch("[0-9]{1,9}", given):
        raise ReportUnreadable(f"The report's header gives no number of {name}.")
    return int(given) if given else None


def _agrees(told: int, counted: Counter[str], elements: Sequence[str]) -> bool:
    """Whether so many elements are there.

    A test that fails twice, in its body and its teardown, counts once or twice.
    """
    return sum(counted[f"{name} cases"] for name in elements) <= told <= sum(counted[name] for name in elements)


def _disagreement(told: int, name: str, found: int) -> ReportUnreadable:
    return ReportUnreadable(f"The report's header says {told} {name}, but it holds {found}.")
