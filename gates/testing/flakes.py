"""A second chance for a failing test, which must not become a way in.

A test that passes when it is run again alone may be flaky, or may fail only after another test. So the whole run is
made again as well: a flake is what failed once and passed both times.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from .outcome import Result, SuiteRun

# More failures than this are no flakes; running them again would only take time.
RERUN_MAX = 20

Rerun = Callable[[Sequence[str]], Awaitable[SuiteRun]]


async def settle_flakes(
    run: SuiteRun, suspects: Iterable[str], rerun: Rerun, *, can_run_alone: bool
) -> tuple[SuiteRun, tuple[str, ...]]:
    """Return the run with its flakes passed, and their ids. `rerun` runs the given ids, or everything for none."""
    left = tuple(sorted(suspects))
    if not left or len(left) > RERUN_MAX:
        return run, ()
    if can_run_alone:
        left = _passed(await rerun(left), left)
    if left:
        left = _passed(await rerun(()), left)
    settled = {name: replace(run.cases[name], result=Result.PASSED) for name in left}
    return replace(run, cases={**run.cases, **settled}), left


def _passed(run: SuiteRun, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in run.cases and run.cases[name].result is Result.PASSED)
