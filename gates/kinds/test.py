"""The `test` kind: what passed on the base passes, what is new passes, and what vanished is a person's to allow.

The artifact's code runs under the base's tests first (the *known* run); tests that the artifact changed or added run by
themselves, as the artifact has them (the *own* run). How the runs are compared stands in `gates/testing/judgement.py`.
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from ...schemas.pipeline import Duration, GateSpec, Glob, Model, Shell
from ...schemas.records import Evidence
from ..contract import Specimen, Spoiled
from ..findings import conclude
from ..judging.planting import FAILING_TEST, PASSING_TEST, new_tests, spoiled_by_patch, test_files
from ..judging.submission import Submission
from ..testing.area import DEFAULT_AREA
from ..testing.judging import Judge, Rules
from ..testing.pytest_run import PytestCall
from ..testing.report_run import ReportCall

PYTEST = "pytest"


class Options(Model):
    """`runner: pytest`, or `run` with the JUnit `report` that it writes.

    `area` are globs of the files that are tests; `plugins`, `paths` and `args` are pytest's. `red_first` wants the new
    tests to fail on the base. `canary` is a patch of the policy commit that breaks a test, for runners other than
    pytest.
    """

    runner: Literal["pytest"] | None = None
    run: Shell | None = None
    report: Glob | None = None
    plugins: tuple[str, ...] = ()
    paths: tuple[Glob, ...] = ()
    args: tuple[str, ...] = ()
    area: tuple[Glob, ...] = Field(default=DEFAULT_AREA, min_length=1)
    changed_tests: Literal["ask", "allow", "refuse"] = "ask"
    red_first: bool = False
    absolute: bool = False
    network: bool = False
    timeout: Duration | None = None
    canary: Glob | None = None

    @model_validator(mode="after")
    def _has_one_runner(self) -> Self:
        if (self.run is None) != (self.report is None):
            raise ValueError("`run` and `report` go together: the run writes the JUnit report")
        if self.run is not None and (self.runner is not None or self.plugins or self.paths or self.args):
            raise ValueError("`run` stands for another runner; `runner`, `plugins`, `paths` and `args` are pytest's")
        if any(path.startswith("-") for path in self.paths):
            raise ValueError("`paths` are files and folders; options go into `args`")
        return self


class Test:
    """See the module."""

    __test__ = False
    name = "test"
    unit = "tests"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """Whose tests, run by what, and what is asked."""
        runner = f"`{options.run}`" if options.run else "pytest"
        known = "every test passes" if options.absolute else "every test that passes on the base passes as it is there"
        red = "; new tests fail without your change" if options.red_first else ""
        changed = {
            "ask": "a person decides about changed expectations",
            "allow": "expectations may be changed",
            "refuse": "known expectations may not be changed",
        }[options.changed_tests]
        return (
            f"{runner}: {known}, new tests pass{red}; {changed}, and about known tests that vanish or are skipped. "
            "Counted: tests that ran."
        )

    def references(self, options: Options) -> tuple[str, ...]:
        """The policy itself protects the files that a command names, and what pytest is configured by."""
        return (options.canary,) if options.canary else ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Run what is needed, the base only when its result is not known."""
        timeout_s = options.timeout or submission.limits.gate
        if options.run is not None and options.report is not None:
            call: PytestCall | ReportCall = ReportCall(options.run, options.report, timeout_s, options.network)
        else:
            call = PytestCall(options.plugins, (*options.args,), timeout_s, options.paths, options.network)
        rules = Rules(
            area=options.area,
            changed_tests=options.changed_tests,
            is_red_first=options.red_first,
            is_absolute=options.absolute,
        )
        return conclude(gate, await Judge(submission, call, rules).judge())

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """A test that passes, where pytest has none yet."""
        if options.run is not None or test_files(tree, options.area, options.paths):
            return {}
        return dict.fromkeys(new_tests(tree, options.area, options.paths), PASSING_TEST)

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """A test that fails, or the policy's own patch."""
        if options.canary is not None:
            return spoiled_by_patch(options.canary, tree)
        if options.run is not None and PYTEST not in options.run:
            return None
        paths = new_tests(tree, options.area, options.paths)
        if not paths:
            return None
        # Which files another runner collects is its own business.
        is_certain = options.run is None
        return Spoiled(dict.fromkeys(paths, FAILING_TEST), f"a failing test in {paths[0]}", is_certain=is_certain)


KIND = Test()
