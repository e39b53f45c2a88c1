"""What the `test` kind says of tests, in one sentence each."""

from collections.abc import Sequence

from ..text import number_of
from .outcome import Case, Result, SuiteRun

FLAKES_NAMED_MAX = 3
FLAKED = "failed once and passed when it ran again."


def summarise(restored: str, flakes: Sequence[str]) -> str:
    """What those should know who read no further: `restored`, whose rules these were, and what flaked."""
    said = [restored, *(f"{name} {FLAKED}" for name in flakes[:FLAKES_NAMED_MAX])]
    if len(flakes) > FLAKES_NAMED_MAX:
        said.append(f"So did {number_of(len(flakes) - FLAKES_NAMED_MAX, 'more tests')}.")
    return " ".join(filter(None, said))


def nothing_ran(run: SuiteRun) -> str:
    if not run.broken:
        return "No test ran."
    path, case = next(iter(run.broken.items()))
    if len(run.broken) == 1:
        return f"No test ran: {path} cannot be collected: {case.message}"
    return f"No test ran: {len(run.broken)} files cannot be collected, for example {path}: {case.message}"


def say_rewritten(name: str, case: Case) -> str:
    said = case.message or "failed"
    return f"{name} fails as the base has it ({said}) and passes as the artifact rewrote it."


def say_vanished(name: str, case: Case) -> str:
    would = f"; as it was it would fail ({case.message})" if case.result is Result.FAILED else ""
    return f"{name} passed on the base and is gone{would}."


def say_silenced(name: str, case: Case) -> str:
    would = f"; as it was it would fail ({case.message})" if case.message else ""
    return f"{name} passed on the base and is now {case.result}{would}."
