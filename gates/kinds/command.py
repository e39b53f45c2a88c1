"""The `command` kind: a program of the policy's runs in a clean private copy of the artifact.

By its exit code alone it must succeed. With a report (`lines` of path:line:message, or JUnit XML) its findings are
judged against the base, where the same command runs when there is something to compare.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from ...schemas.pipeline import Duration, GateSpec, Glob, Model, Name, Shell
from ...schemas.records import Evidence
from ..contract import CannotJudge, Specimen, Spoiled
from ..findings import Judged, Problem, conclude, split_by_base
from ..planting import spoiled_by_patch
from ..process import Finished, judge_exit
from ..regime import judged_tree, what_was_restored
from ..report_file import read_cases, remove_report
from ..reports import TestCase, parse_lines
from ..submission import Submission

SHELL = "/bin/sh"
SOURCE_BYTES_MAX = 5_000_000
# Findings are read from the output, so nothing may be left out of its middle.
LINES_BYTES_MAX = 20_000_000
TAIL_LINES = 20
FAILING = ("failed", "errored")


class Options(Model):
    """`run` is given to `sh -c`; `path` is where it writes a JUnit report, relative to the tree.

    `canary` is a patch of the policy commit with which the command must fail; `doctor` applies it.
    """

    run: Shell
    name: Name | None = None
    report: Literal["exit", "lines", "junit"] = "exit"
    path: Glob | None = None
    timeout: Duration | None = None
    absolute: bool = False
    canary: Glob | None = None

    @model_validator(mode="after")
    def _has_a_path_exactly_for_a_file(self) -> Self:
        if (self.report == "junit") != (self.path is not None):
            raise ValueError("`path` goes with `report: junit`, which needs it")
        return self


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of the command said; `finished` is None for the base's run when it was known already."""

    returncode: int
    problems: tuple[Problem, ...]
    counted: int
    finished: Finished | None = None


class Command:
    """See the module."""

    name = "command"
    unit = "checks"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """The command itself, and how its answer is read."""
        if options.report == "exit":
            return f"`{options.run}` ends with exit code 0. Counted: the run."
        extent = "no findings" if options.absolute else "no finding that the base does not have"
        counted = (
            "test cases of its report" if options.report == "junit" else "findings, or the run when there are none"
        )
        return f"`{options.run}` reports {extent}. Counted: {counted}."

    def references(self, options: Options) -> tuple[str, ...]:
        """The canary; the policy itself protects the files that a command names."""
        return (options.canary,) if options.canary else ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Run on the artifact; on the base only when that says something against it."""
        job = submission.job
        ran = await run_command(submission, options, job.commit)
        assert ran.finished is not None, "the artifact's own run is never served from a cache"
        problems = ran.problems
        is_clean = ran.returncode == 0 and not problems
        base = None if is_clean else await _base_run(submission, options)
        moved = await submission.moved() if problems else {}
        held = () if base is None or options.absolute else base.problems
        new, tolerated = split_by_base(problems, held, moved)
        if not is_clean and not new:
            new += _unexplained(ran, base, options)
        summary = await what_was_restored(submission)
        judged = Judged(ran.counted, self.unit, new, tolerated, summary=summary, runs=(ran.finished,), moved=moved)
        return conclude(gate, judged)

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """What a command looks at is its own business: the trusted branch must do."""
        return {}

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """The policy's own patch, if it has one."""
        return spoiled_by_patch(options.canary, tree)


KIND = Command()


async def run_command(submission: Submission, options: Options, commit: str) -> Ran:
    """Run the command on a commit under the policy's rules. Raises `CannotJudge` when its answer is none."""
    run_in = await judged_tree(submission, commit)
    async with submission.workplace(run_in, of=commit) as (tree, environment):
        if options.path is not None:
            remove_report(tree, options.path)
        finished = await submission.run(
            [SHELL, "-c", options.run],
            cwd=tree,
            environment=environment,
            timeout_s=options.timeout or submission.limits.gate,
            output_bytes_max=LINES_BYTES_MAX if options.report == "lines" else None,
        )
        said = judge_exit(finished)
        if said is not None:
            raise CannotJudge(said, output=finished.output)
        return await _read(submission, options, finished, tree, commit)


async def _read(submission: Submission, options: Options, finished: Finished, tree: Path, commit: str) -> Ran:
    code = finished.returncode
    assert code is not None, "judge_exit answers for a program without an exit code"
    if options.path is not None:
        cases = read_cases(tree, options.path, finished)
        failing = tuple(_case_problem(case) for case in cases if case.outcome in FAILING)
        if bool(failing) != (code != 0):
            raise CannotJudge(f"The report does not agree with the exit code {code}.", output=finished.output)
        return Ran(code, failing, sum(case.outcome != "skipped" for case in cases), finished)
    if options.report == "exit":
        return Ran(code, (), 1, finished)
    if finished.output_bytes > LINES_BYTES_MAX:
        raise CannotJudge(f"The output has more than {LINES_BYTES_MAX} bytes.", output=finished.output)
    problems = [
        Problem(
            line.rule or "message",
            line.message,
            path := _relative(line.path, tree),
            line.line,
            await _source_line(submission, commit, path, line.line),
            satisfy=f"Make `{options.run}` content with it.",
        )
        for line in parse_lines(finished.output)
        if line.severity == "error"
    ]
    return Ran(code, tuple(problems), max(1, len(problems)), finished)


def _case_problem(case: TestCase) -> Problem:
    satisfy = f"Make {case.id} pass."
    message = case.message or f"{case.id} failed."
    return Problem("test", message, case.path, case.line, mark=case.id, satisfy=satisfy)


async def _base_run(submission: Submission, options: Options) -> Ran | None:
    """What the command says of the base, from the cache when it is known; None when it cannot judge the base."""
    job = submission.job

    async def run() -> str:
        try:
            ran = await run_command(submission, options, job.base)
        except CannotJudge:
            return json.dumps(None)
        return json.dumps({"code": ran.returncode, "problems": [asdict(p) for p in ran.problems]})

    environment = await submission.environment(job.base)
    tree = submission.store.tree_of(await judged_tree(submission, job.base))
    key = sha256(f"{tree} {environment.key} {options.model_dump_json()}".encode()).hexdigest()
    known = json.loads(await submission.base_result(f"command:{key}", run))
    return known and Ran(known["code"], tuple(Problem(**problem) for problem in known["problems"]), 0)


def _unexplained(ran: Ran, base: Ran | None, options: Options) -> tuple[Problem, ...]:
    """The exit code as a finding, unless the base ends with the same one and a report explains both."""
    assert ran.finished is not None, "only the artifact's own run is explained"
    is_explained = options.report != "exit" and ran.problems and base is not None and base.returncode == ran.returncode
    if is_explained or (ran.returncode == 0 and base is not None):
        return ()
    if base is None:
        known = " It could not judge the base."
    else:
        known = (
            " It ends so on the base too." if base.returncode == ran.returncode else f" On the base: {base.returncode}."
        )
    tail = "\n".join(ran.finished.output.strip().splitlines()[-TAIL_LINES:])
    message = f"`{options.run}` ended with exit code {ran.returncode}.{known}\n{tail}"
    satisfy = f"Make `{options.run}` end with exit code 0."
    return (Problem("exit-code", message, text=f"{options.run} {ran.returncode}", satisfy=satisfy),)


def _relative(path: str, tree: Path) -> str:
    place = Path(path)
    return str(place.relative_to(tree)) if place.is_relative_to(tree) else path.removeprefix("./")


async def _source_line(submission: Submission, commit: str, path: str, line: int | None) -> str:
    if line is None or path not in await submission.entries(commit):
        return ""
    lines = (await submission.read(commit, path, SOURCE_BYTES_MAX) or b"").decode("utf-8", "replace").split("\n")
    return lines[line - 1] if 0 < line <= len(lines) else ""
