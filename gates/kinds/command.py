"""The `command` kind: a program of the policy's runs in a clean private copy of the artifact.

By its exit code alone it must succeed. With a report its findings are judged against the base, where the same command
runs when there is something to compare. What a comment or a list in the tree newly hides from the tool, as far as the
report tells, is for a person to decide.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import sha256

from ...schemas.pipeline import GateSpec
from ...schemas.records import Evidence
from ..contract import CannotJudge, Specimen, Spoiled
from ..findings import Judged, Problem, Question, conclude, split_by_base
from ..judging.planting import spoiled_by_patch
from ..judging.submission import Submission
from ..process import by_shell, judge_exit
from ..regime import judged_tree, what_was_restored
from ..report_file import remove_report
from ..text import last_lines
from .command_report import Options, Ran, read_answer
from .narrowing import CHANGED_FILES, write_list

COUNTED = {
    "lines": "findings, or the run when there are none",
    "junit": "test cases of its report",
    "sarif": "files that its report names, or the run when it names none",
    "ruff": "findings, or the run when there are none",
    "eslint": "files of its report",
    "gatewright": "what its report says",
}


class Command:
    """See the module."""

    name = "command"
    unit = "checks"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """The command itself, and how its answer is read."""
        if options.report == "exit":
            return f"`{options.run}` ends with exit code 0{_extent(options)}. Counted: the run."
        extent = "no findings" if options.absolute else "no finding that the base does not have"
        return f"`{options.run}` reports {extent}{_extent(options)}. Counted: {COUNTED[options.report]}."

    def references(self, options: Options) -> tuple[str, ...]:
        """The canary; the policy itself protects the files that a command names."""
        return (options.canary,) if options.canary else ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Run on the artifact; on the base only when that says something against it."""
        job = submission.job
        ran = await run_command(submission, options, job.commit)
        assert ran.finished is not None, "the artifact's own run is never served from a cache"
        is_clean = ran.returncode == 0 and not ran.problems
        base = None if is_clean and not ran.hidden else await _base_run(submission, options)
        moved = await submission.moved() if ran.problems or ran.hidden else {}
        held = () if base is None or options.absolute else base.problems
        new, tolerated = split_by_base(ran.problems, held, moved)
        if not is_clean and not new:
            new += _unexplained(ran, base, options)
        hidden, _ = split_by_base(ran.hidden, () if base is None else base.hidden, moved)
        judged = Judged(
            ran.counted,
            ran.unit or self.unit,
            new,
            tolerated,
            _questions(hidden),
            summary=await what_was_restored(submission),
            runs=(ran.finished,),
            moved=moved,
        )
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
    listed = await write_list(submission, commit, run_in, options.changed_only) if options.changed_only else None
    place = submission.shared_place if options.tree == "shared" else submission.workplace
    async with place(run_in, of=commit) as (tree, environment):
        if options.path is not None:
            remove_report(tree, options.path)
        finished = await submission.run(
            by_shell(options.run),
            cwd=tree,
            environment=environment,
            timeout_s=options.timeout or submission.limits.gate,
            extra={} if listed is None else {CHANGED_FILES: str(listed)},
            reads=() if listed is None else (listed,),
            stdout_bytes_max=options.stdout_bytes_max,
            output_bytes_max=options.output_bytes_max,
            network=options.network,
        )
        said = judge_exit(finished)
        if said is not None:
            raise CannotJudge(said, output=finished.output)
        return await read_answer(submission, options, finished, tree, commit)


async def _base_run(submission: Submission, options: Options) -> Ran | None:
    """What the command says of the base, from the cache when it is known; None when it cannot judge the base."""
    job = submission.job

    async def run() -> str:
        ran = await run_command(submission, options, job.base)
        lists = (("problems", ran.problems), ("hidden", ran.hidden))
        return json.dumps({"code": ran.returncode, **{name: [asdict(p) for p in found] for name, found in lists}})

    environment = await submission.environment(job.base)
    tree = submission.store.tree_of(await judged_tree(submission, job.base))
    # What it was told to look at depends on the artifact.
    of = job.commit if options.changed_only else ""
    key = sha256(f"{tree} {environment.key} {options.model_dump_json()} {of}".encode()).hexdigest()
    try:
        known = json.loads(await submission.base_result(f"command:{key}", run))
    except CannotJudge:
        # Not kept: another time it may be able to.
        return None
    problems, hidden = (tuple(Problem(**problem) for problem in known[name]) for name in ("problems", "hidden"))
    return Ran(known["code"], problems, hidden)


def _extent(options: Options) -> str:
    return f" for changed files among {', '.join(options.changed_only)}" if options.changed_only else ""


def _questions(hidden: tuple[Problem, ...]) -> tuple[Question, ...]:
    if not hidden:
        return ()
    about = tuple(replace(p, message=f"Suppressed: {p.message}", severity="question") for p in hidden)
    lines = "\n".join(f"{p.path}:{p.line}: {p.text or p.message}" for p in hidden)
    return (Question("May the artifact suppress these findings?", about, lines),)


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
    message = f"`{options.run}` ended with exit code {ran.returncode}.{known}\n{last_lines(ran.finished.output)}"
    satisfy = f"Make `{options.run}` end with exit code 0."
    return (Problem("exit-code", message, text=f"{options.run} {ran.returncode}", satisfy=satisfy),)
