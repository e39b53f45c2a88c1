"""Run any other test program on a commit, and read the JUnit report that this very run wrote."""

from dataclasses import dataclass

from ..contract import CannotJudge
from ..judging.submission import Submission
from ..process import Finished, by_shell, judge_exit
from ..report_file import read_cases, remove_report
from .outcome import Case, Result, SuiteRun

RESULTS = {
    "passed": Result.PASSED,
    "failed": Result.FAILED,
    "errored": Result.FAILED,
    "skipped": Result.SKIPPED,
}


@dataclass(frozen=True, slots=True)
class ReportCall:
    """`run` is given to `sh -c`; `report` is where it writes, relative to the tree."""

    run: str
    report: str
    timeout_s: float
    network: bool = False


async def run_reporting(submission: Submission, call: ReportCall, commit: str, *, of: str) -> tuple[SuiteRun, Finished]:
    """Run the whole suite of `commit` in the environment of `of`. Raises `CannotJudge`.

    A report and an exit code that contradict each other judge nothing.
    """
    async with submission.workplace(commit, of=of) as (tree, environment):
        remove_report(tree, call.report)
        finished = await submission.run(
            by_shell(call.run),
            cwd=tree,
            environment=environment,
            timeout_s=call.timeout_s,
            network=call.network,
        )
        said = judge_exit(finished)
        if said is not None:
            raise CannotJudge(said, output=finished.output)
        found = read_cases(tree, call.report, finished)
    cases = {c.id: Case(RESULTS[c.outcome], c.path or "", c.path, c.line, c.message) for c in found}
    run = SuiteRun(cases)
    if bool(run.failing) != (finished.returncode != 0):
        raise CannotJudge(
            f"`{call.run}` ended with exit code {finished.returncode}, but its report has {len(run.failing)} failures.",
            output=finished.output,
        )
    return run, finished
