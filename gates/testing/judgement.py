"""Compare test runs: the base's, that of the artifact's code under the base's tests, that of the artifact's own tests.

The *known* run is the artifact's code under the base's tests, the *own* run the artifact as it is, as far as its tests
changed. Every test that passed on the base passes in both; what cannot be decided so is a person's to decide. Pure.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from ..findings import Problem
from .outcome import Case, Result, SuiteRun

RULE = "test"
NAMES_MAX = 5


@dataclass(slots=True)
class Compared:
    """Ids of known tests by what became of them, with the case that says so, and the problems of the artifact."""

    failing: list[Problem] = field(default_factory=list)
    tolerated: list[Problem] = field(default_factory=list)
    rewritten: dict[str, Case] = field(default_factory=dict)
    vanished: dict[str, Case] = field(default_factory=dict)
    silenced: dict[str, Case] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)


def compare(base: SuiteRun, known: SuiteRun, own: SuiteRun | None, covers: Callable[[str], bool]) -> Compared:
    """Judge the artifact's runs against the base's; ids are those of the base.

    `covers` says of a test file of the base whether the own run would have run it.
    """
    compared = Compared()
    broken = known.failure
    if own is not None and (own.failure or all(covers(case.file) for case in base.cases.values())):
        # The artifact's own run speaks for every known test: what only the old tests break, it mends.
        broken = own.failure
    if broken is not None:
        compared.failing.append(_no_run(broken))
        return compared
    for name, was in base.cases.items():
        now = own if own is not None and covers(was.file) else None
        if was.result is Result.PASSED:
            _judge_passing(compared, name, was, _case(known, name, was.file), now)
        else:
            _judge_other(compared, name, was, now if now is not None else known)
    _judge_new(compared, base, known, own)
    return compared


def grouped(
    cases: Mapping[str, Case], rule: str, say: Callable[[str, Case], str], marks: Mapping[str, str]
) -> list[Problem]:
    """One question for each test, or for each file with more than a few; `marks` tell a file's contents apart."""
    problems: list[Problem] = []
    for file, group in groupby(sorted(cases.items(), key=lambda item: item[1].file), key=lambda item: item[1].file):
        found = list(group)
        mark = f"{file} {marks.get(file, '')}"
        if len(found) > NAMES_MAX:
            names = ", ".join(name.removeprefix(f"{file}::") for name, _ in found[:NAMES_MAX])
            message = f"{len(found)} known tests of {file} ({names}, ...): {say('each', found[0][1])}"
            whole = " ".join((mark, *(name for name, _ in found)))
            problems.append(Problem(rule, message, file, mark=whole, severity="question"))
            continue
        problems += [
            Problem(rule, say(name, case), case.path or file, case.line, mark=f"{mark} {name}", severity="question")
            for name, case in found
        ]
    return problems


def _judge_passing(compared: Compared, name: str, was: Case, known: Case | None, own: SuiteRun | None) -> None:
    if own is None:
        if known is None:
            compared.vanished[name] = was
        elif known.result is Result.FAILED:
            compared.failing.append(_problem(name, known))
        elif known.result is not Result.PASSED:
            compared.silenced[name] = known
        return
    case = _case(own, name, was.file)
    failed_as_it_was = known is not None and known.result is Result.FAILED
    if case is None:
        # Who decides about a test that is gone must hear that it would fail.
        compared.vanished[name] = known if known is not None and failed_as_it_was else was
    elif case.result is Result.FAILED:
        compared.failing.append(_problem(name, case))
    elif case.result is not Result.PASSED:
        compared.silenced[name] = replace(case, message=known.message) if known and failed_as_it_was else case
    elif known is None or known.result is not Result.PASSED:
        compared.rewritten[name] = known or was


def _judge_other(compared: Compared, name: str, was: Case, now: SuiteRun) -> None:
    """A test that did not pass on the base: its failure there is tolerated, but a skipped one may not begin to fail."""
    case = _case(now, name, was.file)
    if case is None or case.result is not Result.FAILED:
        return
    if was.result is Result.FAILED:
        compared.tolerated.append(_problem(name, case))
    else:
        compared.failing.append(_problem(name, case, f"It was {was.result} on the base. "))


def _judge_new(compared: Compared, base: SuiteRun, known: SuiteRun, own: SuiteRun | None) -> None:
    cases = {**known.cases, **(own.cases if own is not None else {})}
    compared.new = [name for name in cases if name not in base.cases]
    compared.failing += [
        _problem(name, cases[name], "A new test fails. ")
        for name in compared.new
        if cases[name].result is Result.FAILED
    ]
    told = {case.file for case in base.cases.values()}
    for path, case in (own or known).broken.items():
        # A file whose tests are known was told by them.
        if path in base.broken:
            compared.tolerated.append(_cannot_collect(path, case))
        elif path not in told:
            compared.failing.append(_cannot_collect(path, case))


def _case(run: SuiteRun, name: str, file: str) -> Case | None:
    """The case of this id; a test in a file that could not be collected has failed for that reason."""
    if run.failure is not None:
        return run.failure
    return run.cases.get(name) or run.broken.get(file)


def _no_run(failure: Case) -> Problem:
    satisfy = "Make the test run start and end as it does on the base."
    return Problem("test-run", failure.message, failure.path, failure.line, mark="test-run", satisfy=satisfy)


def _cannot_collect(path: str, case: Case) -> Problem:
    message = f"{path} cannot be collected: {case.message}"
    satisfy = f"Make {path} importable."
    return Problem("collect", message, case.path or path, case.line, mark=path, satisfy=satisfy)


def _problem(name: str, case: Case, why: str = "") -> Problem:
    message = f"{why}{name}: {case.message or 'failed'}"
    return Problem(RULE, message, case.path or case.file or None, case.line, mark=name, satisfy=f"Make {name} pass.")


def lines_of(problems: Iterable[Problem]) -> str:
    """The questions as lines of text, for the person who decides."""
    return "\n".join(f"- {problem.message}" for problem in problems)
