"""Make the test runs that an artifact needs, and put what they say together.

At most four runs of a suite: the base's (kept by the server), the known one, the artifact's own, and one of the base's
code under the new tests when those must have been red. Failures get a second chance as `flakes.py` says.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Literal

from ..artifact_store.objects import SUBMODULE
from ..artifact_store.walk import Change
from ..findings import Judged, Problem, Question
from ..judging.submission import Submission
from ..process import Finished
from ..regime import Replacement, composed, judged_tree, restorations, what_was_restored
from .area import Area
from .flakes import settle_flakes
from .judgement import Compared, compare, grouped, lines_of
from .outcome import Result, SuiteRun, format_run, old_name, parse_run
from .pytest_run import CONFIG_NAMES, PytestCall, run_pytest
from .report_run import ReportCall, run_reporting
from .wording import FLAKED, nothing_ran, say_rewritten, say_silenced, say_vanished, summarise

UNIT = "tests"
# Part of the cache key of a base's run: raise it when a run is made or read differently.
RUN_VERSION = 1
DIFF_BYTES_MAX = 6_000
FILES_WITH_DIFF_MAX = 5


@dataclass(frozen=True, slots=True)
class Rules:
    """How the gate judges: its options without what calls the runner."""

    area: Sequence[str]
    changed_tests: Literal["ask", "allow", "refuse"]
    is_red_first: bool
    is_absolute: bool


@dataclass(frozen=True, slots=True)
class OwnPlan:
    """What of the artifact's own suite must run: files, or everything; `covered` are the base's files it speaks for."""

    commit: str
    targets: tuple[str, ...]
    is_whole: bool
    covered: frozenset[str]

    def covers(self, file: str) -> bool:
        """Whether the own run has the last word about the tests of this file of the base."""
        return self.is_whole or file in self.covered


@dataclass(slots=True)
class Judge:
    """One judgement; `runs` are the programs' runs that are worth showing, `flakes` what failed once."""

    submission: Submission
    call: PytestCall | ReportCall
    rules: Rules
    runs: list[Finished] = field(default_factory=list)
    flakes: list[str] = field(default_factory=list)

    async def judge(self) -> Judged:
        """Run and compare. Raises `CannotJudge` and `Blamed`."""
        job = self.submission.job
        base = await self._base_run()
        area = Area(tuple(self.rules.area), base.files)
        changed = area.changed(await self.submission.changes(job.base, job.commit))
        moved = await self.submission.moved() if changed else {}
        known = await self._known_run(base, changed)
        plan = await self._plan(area, changed, moved) if changed else None
        own = None if plan is None else await self._own_run(plan, base, known, moved)
        compared = compare(base, known, own, plan.covers if plan is not None else _covers_nothing)
        if self.rules.is_red_first:
            compared.failing += await self._must_have_been_red(compared, plan, changed)
        marks = _marks(area, changed, moved, base.files)
        return await self._put_together(compared, known, own, changed, moved=moved, marks=marks)

    async def _base_run(self) -> SuiteRun:
        """The suite on the base, once per tree, environment and way of calling; its flakes count as passing."""
        job = self.submission.job
        commit = await judged_tree(self.submission, job.base)
        environment = await self.submission.environment(job.base)
        install = job.policy.pipeline.install
        what = [RUN_VERSION, asdict(self.call), install.run if install else None, environment.key]
        key = sha256(json.dumps([*what, self.submission.store.tree_of(commit)]).encode()).hexdigest()

        async def run() -> str:
            self.submission.report("test: running the suite on the base")
            first, _ = await self._run(commit, of=job.base, config_from=job.policy.commit)
            settled, _ = await settle_flakes(
                first,
                first.failing,
                lambda names: self._again(commit, job.base, job.policy.commit, names),
                can_run_alone=isinstance(self.call, PytestCall),
            )
            return format_run(settled)

        return parse_run(await self.submission.base_result(f"test:{key}", run))

    async def _known_run(self, base: SuiteRun, changed: Sequence[Change]) -> SuiteRun:
        """The artifact's code under the base's tests and the policy's configuration."""
        job = self.submission.job
        there = await self.submission.entries(job.base)
        replaced: dict[str, Replacement] = dict(await restorations(self.submission, job.commit))
        replaced |= {change.path: there.get(change.path) for change in changed}
        commit = await composed(self.submission, job.commit, replaced)
        store = self.submission.store
        if store.tree_of(commit) == store.tree_of(await judged_tree(self.submission, job.base)):
            return base
        self.submission.report("test: running the known tests")
        return await self._settled(commit, job.policy.commit, base, {})

    async def _plan(self, area: Area, changed: Sequence[Change], moved: Mapping[str, str]) -> OwnPlan:
        """Changed test files run by themselves; when what they share changed, everything runs."""
        job = self.submission.job
        restored = await restorations(self.submission, job.commit)
        # What the artifact changed of its tests' own rules holds for them, and `scope` asks a person about it.
        kept = {path: to for path, to in restored.items() if not area.holds(path) and path not in CONFIG_NAMES}
        commit = await composed(self.submission, job.commit, kept)
        paths = {change.path for change in changed}
        present = sorted(c.path for c in changed if c.new_oid is not None and c.new_mode != SUBMODULE)
        is_whole = not isinstance(self.call, PytestCall) or not all(area.is_test_file(path) for path in paths)
        covered = frozenset(paths | {moved.get(path, path) for path in paths})
        return OwnPlan(commit, () if is_whole else tuple(present), is_whole, covered)

    async def _own_run(self, plan: OwnPlan, base: SuiteRun, known: SuiteRun, moved: Mapping[str, str]) -> SuiteRun:
        if not plan.is_whole and not plan.targets:
            return SuiteRun()
        self.submission.report("test: running the artifact's own tests")
        if plan.is_whole:
            return await self._settled(plan.commit, plan.commit, base, moved)
        first, finished = await self._run(
            plan.commit, of=self.submission.job.commit, config_from=plan.commit, targets=plan.targets
        )
        self.runs.append(finished)
        run = first.with_old_names(moved).with_known_names(base)
        doubted = [name for name in run.failing if base.passes(name) and known.passes(name)]
        if not doubted:
            return run
        # Tests lean on what those of other files leave behind; then only the whole suite says whether they pass.
        self.submission.report("test: running the artifact's whole suite")
        whole = await self._settled(plan.commit, plan.commit, base, moved)
        passing = {name: whole.cases[name] for name in doubted if whole.passes(name)}
        self.flakes += passing
        return replace(run, cases={**run.cases, **passing})

    async def _settled(self, commit: str, config_from: str, base: SuiteRun, moved: Mapping[str, str]) -> SuiteRun:
        """A run of the artifact's whole suite in which known tests had their second chance; new tests have none."""
        job = self.submission.job
        first, finished = await self._run(commit, of=job.commit, config_from=config_from)
        self.runs.append(finished)
        settled, flakes = await settle_flakes(
            first,
            (name for name in first.failing if base.passes(old_name(name, first.cases[name].file, moved))),
            lambda names: self._again(commit, job.commit, config_from, names),
            can_run_alone=isinstance(self.call, PytestCall),
        )
        self.flakes += flakes
        return settled.with_old_names(moved).with_known_names(base)

    async def _again(self, commit: str, of: str, config_from: str, targets: Sequence[str]) -> SuiteRun:
        self.submission.report("test: running failed tests again")
        run, _ = await self._run(commit, of=of, config_from=config_from, targets=targets)
        return run

    async def _run(
        self, commit: str, *, of: str, config_from: str, targets: Sequence[str] = ()
    ) -> tuple[SuiteRun, Finished]:
        match self.call:
            case PytestCall():
                return await run_pytest(
                    self.submission, self.call, commit, of=of, config_from=config_from, targets=targets
                )
            case ReportCall():
                return await run_reporting(self.submission, self.call, commit, of=of)

    async def _must_have_been_red(
        self, compared: Compared, plan: OwnPlan | None, changed: Sequence[Change]
    ) -> list[Problem]:
        """Findings for new tests that pass on the base's code, and for an artifact that has no test that does not."""
        if plan is None or not (compared.new or compared.rewritten):
            satisfy = "Add a test that fails without your change and passes with it."
            return [Problem("red-first", "No new test fails on the base.", mark="red-first", satisfy=satisfy)]
        job = self.submission.job
        there = await self.submission.entries(job.commit)
        before = await judged_tree(self.submission, job.base)
        commit = await composed(self.submission, before, {change.path: there.get(change.path) for change in changed})
        run, _ = await self._run(commit, of=job.base, config_from=job.policy.commit, targets=plan.targets)
        green = [name for name in compared.new if name in run.cases and run.cases[name].result is Result.PASSED]
        satisfy = "Make the test fail without your change, or add one that does."
        return [
            Problem(
                "red-first", f"{name} passes on the base already.", run.cases[name].file, mark=name, satisfy=satisfy
            )
            for name in green
        ]

    async def _put_together(
        self,
        compared: Compared,
        known: SuiteRun,
        own: SuiteRun | None,
        changed: Sequence[Change],
        *,
        moved: Mapping[str, str],
        marks: Mapping[str, str],
    ) -> Judged:
        rewritten = grouped(compared.rewritten, "changed-expectation", say_rewritten, marks)
        asked = [
            *grouped(compared.vanished, "vanished", say_vanished, marks),
            *grouped(compared.silenced, "silenced", say_silenced, marks),
        ]
        failing, tolerated = compared.failing, list(compared.tolerated)
        match self.rules.changed_tests:
            case "ask":
                asked = [*rewritten, *asked]
            case "allow":
                tolerated += rewritten
            case "refuse":
                failing = [*failing, *rewritten]
        if self.rules.is_absolute:
            failing, tolerated = [*failing, *compared.tolerated], [p for p in tolerated if p not in compared.tolerated]
        # First, because not all that is tolerated is shown.
        tolerated = [*(Problem("flake", f"{name} {FLAKED}", mark=name) for name in self.flakes), *tolerated]
        ran = known.ran | (own.ran if own is not None else frozenset())
        summary = summarise(await what_was_restored(self.submission), self.flakes) if ran else nothing_ran(own or known)
        return Judged(
            counted=len(ran),
            unit=UNIT,
            new=tuple(failing),
            tolerated=tuple(tolerated),
            questions=(await self._question(asked, changed),) if asked else (),
            summary=summary,
            runs=tuple(self.runs),
            environment=(("pytest", known.version),) if known.version else (),
            moved=moved,
        )

    async def _question(self, asked: Sequence[Problem], changed: Sequence[Change]) -> Question:
        job = self.submission.job
        files = {problem.path for problem in asked}
        shown = [c.path for c in changed if c.path in files] or [c.path for c in changed]
        diffs = [
            await self.submission.diff(job.base, job.commit, path, DIFF_BYTES_MAX)
            for path in shown[:FILES_WITH_DIFF_MAX]
        ]
        sentence = "May what the known tests expect be changed so?"
        return Question(sentence, tuple(asked), "\n".join((lines_of(asked), *diffs)))


def _marks(area: Area, changed: Sequence[Change], moved: Mapping[str, str], files: Iterable[str]) -> Mapping[str, str]:
    """What an answer about a file's tests is bound to: its contents, and those of all that tests share.

    What a test expects may lie in data or in helpers as well as in its own file.
    """
    contents = {c.path: c.new_oid or "removed" for c in changed}
    shared = {path: mark for path, mark in contents.items() if not area.is_test_file(path)}
    told = json.dumps(sorted(shared.items())) if shared else ""
    own = {moved.get(path, path): mark for path, mark in contents.items()}
    return {file: f"{own.get(file, '')}{told}" for file in {*files, *own}}


def _covers_nothing(_: str) -> bool:
    return False
