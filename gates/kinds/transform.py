"""The `transform` kind: a command of the policy makes exactly the files that the artifact has in `paths`.

The command runs twice, each time in a private copy of the artifact from which those files were taken away: a command
that does nothing makes nothing. What it makes must be the same both times, and the same as what is committed: bytes,
modes, and no file more or less. What differs on the base too, and was not touched since, is tolerated.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

from ...schemas.pipeline import GateSpec
from ...schemas.records import Evidence
from ..artifact_store.objects import LINK
from ..contract import CannotJudge, Specimen, Spoiled
from ..findings import Judged, Problem, conclude, split_by_base
from ..judging.planting import path_in
from ..judging.submission import Submission
from ..judging.written import ODD
from ..paths import matches, substitute
from ..regime import judged_tree, what_was_restored
from ..text import last_lines, some_of
from .transform_run import A_PERSONS, DIFF_BYTES_MAX, Made, Options, make

NAMES_MAX = 5
DIFF_LINES = 3
DIFF_LINE_CHARS_MAX = 80
# Two runs differ in what must not matter: the folder, the time, and the order of sets.
SEEDS = ("0", "1")


@dataclass(frozen=True, slots=True)
class OnBase:
    """What the base's own run says; `unstable` are files that a second run made otherwise."""

    code: int
    counted: int
    problems: tuple[Problem, ...]
    unstable: tuple[str, ...]


class Transform:
    """See the module."""

    name = "transform"
    unit = "files"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """The command is what the agent runs before it submits."""
        made = ", ".join(options.paths)
        return f"`{options.run}` makes exactly the files that are committed in {made}. Counted: files."

    def references(self, options: Options) -> tuple[str, ...]:
        """The policy itself protects the files that a command names."""
        return ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Make it twice; the base only when that decides."""
        job = submission.job
        globs = tuple(substitute(glob, change=job.change, stage=job.stage) for glob in options.paths)
        first = await make(submission, options, job.commit, globs, SEEDS[0])
        if first.code != 0:
            return conclude(gate, await _ended_badly(submission, options, globs, first))
        second = await make(submission, options, job.commit, globs, SEEDS[1])
        unstable = _unstable(first, second)
        problems = [*await _compared(submission, options, first, unstable)]
        if unstable or (first.committed and not first.files):
            await _refuse_useless(submission, options, globs, unstable)
        moved = await submission.moved() if problems else {}
        on_base = await _on_base(submission, options, globs) if problems and not options.absolute else None
        new, tolerated = split_by_base(problems, on_base.problems if on_base is not None else (), moved)
        new = (*(_unsteady(path, options) for path in unstable), *new)
        notes = [await what_was_restored(submission), _wrote_elsewhere(first)]
        summary = " ".join(note for note in notes if note)
        if not first.files and not first.committed:
            summary = f"Checked nothing: `{options.run}` makes no file in {', '.join(globs)}."
        runs = (first.finished, second.finished)
        judged = Judged(len(first.files), self.unit, new, tolerated, summary=summary, runs=runs, moved=moved)
        return conclude(gate, judged)

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """The trusted branch will do: what it has in `paths` is made by the command."""
        return {}

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """One of the files that are made, changed by hand."""
        globs = tuple(substitute(glob, change=tree.change, stage=tree.stage) for glob in options.paths)
        made = [path for path in tree.paths if matches(path, globs) and not tree.is_protected(path)]
        if made:
            text = (tree.read(made[0]) or b"") + b"planted by gatewright doctor\n"
            return Spoiled({made[0]: text}, f"a line in {made[0]}")
        path = path_in(globs, tree)
        return None if path is None else Spoiled({path: b"planted by gatewright doctor\n"}, f"{path}, made by nobody")


KIND = Transform()


def _unstable(first: Made, second: Made) -> tuple[str, ...]:
    paths = {*first.files, *second.files}
    return tuple(sorted(path for path in paths if first.files.get(path) != second.files.get(path)))


async def _compared(
    submission: Submission,
    options: Options,
    made: Made,
    unstable: Sequence[str],
) -> list[Problem]:
    """A problem for each file that is not the same in both. Untouched since the base, it has the base's mark."""
    problems = []
    for path in sorted({*made.committed, *made.files} - {*unstable}):
        ours, theirs = made.committed.get(path), made.files.get(path)
        if ours == theirs:
            continue
        rule, message, line = await _difference(submission, options, path, made)
        mark = f"{path}\0{ours.mode} {ours.oid}" if ours is not None else path
        satisfy = f"Run `{options.run}` and commit what it makes" + (f", without {path}." if theirs is None else ".")
        problems.append(Problem(rule, message, path, line, satisfy=satisfy, mark=mark))
    return problems


async def _difference(submission: Submission, options: Options, path: str, made: Made) -> tuple[str, str, int | None]:
    """Rule, sentence and line."""
    ours, theirs = made.committed.get(path), made.files.get(path)
    if theirs is None:
        return "not-made", f"{path} is committed, and `{options.run}` does not make it.", None
    if theirs.mode == ODD:
        return "special", f"`{options.run}` makes {path}, which is no file that a commit could hold.", None
    if ours is None:
        return "not-committed", f"`{options.run}` makes {path}, which is not committed.", None
    if ours.mode == theirs.mode == LINK:
        return "differs", f"{path} leads elsewhere than `{options.run}` makes it.", None
    if ours.oid == theirs.oid or LINK in (ours.mode, theirs.mode):
        return "mode", f"{path} has the mode {ours.mode}, and `{options.run}` makes it with {theirs.mode}.", None
    content = await submission.read(made.commit, path, submission.limits.tree) or b""
    line, shown = _first_difference(content[:DIFF_BYTES_MAX], made.starts[path])
    return "differs", f"{path} is not what `{options.run}` makes{shown}", line


async def _refuse_useless(
    submission: Submission, options: Options, globs: Sequence[str], unstable: Sequence[str]
) -> None:
    """Raise `CannotJudge` when the command is no better on the base: then it is the command that is at fault."""
    on_base = await _on_base(submission, options, globs)
    if unstable and on_base is not None and on_base.unstable:
        shown = some_of(on_base.unstable, NAMES_MAX)
        raise CannotJudge(f"`{options.run}` makes {shown} otherwise each time, on the base too.", advice=A_PERSONS)
    if not unstable and (on_base is None or not on_base.counted):
        sentence = (
            f"`{options.run}` makes none of the files in {', '.join(globs)}; they are taken away before it runs, so one"
            " that changes them in place has nothing to change."
        )
        raise CannotJudge(sentence, advice=A_PERSONS)


async def _ended_badly(submission: Submission, options: Options, globs: Sequence[str], made: Made) -> Judged:
    """The exit code as a finding. Raises `CannotJudge` when the command ends so on the base too."""
    on_base = await _on_base(submission, options, globs)
    if on_base is None or on_base.code != 0:
        sentence = f"`{options.run}` ended with exit code {made.code}, and does not succeed on the base either."
        raise CannotJudge(sentence, output=made.finished.output, advice=A_PERSONS)
    said = last_lines(made.finished.output)
    message = f"`{options.run}` ended with exit code {made.code}; on the base it succeeds.\n{said}"
    satisfy = f"Make `{options.run}` succeed, and commit what it makes."
    problem = Problem("exit-code", message, text=options.run, satisfy=satisfy)
    return Judged(1, Transform.unit, new=(problem,), runs=(made.finished,))


async def _on_base(submission: Submission, options: Options, globs: Sequence[str]) -> OnBase | None:
    """What the command makes of the base, from the cache when it is known; None when it cannot judge the base."""
    job = submission.job

    async def run() -> str:
        first = await make(submission, options, job.base, globs, SEEDS[0])
        second = await make(submission, options, job.base, globs, SEEDS[1]) if first.code == 0 else first
        unstable = _unstable(first, second)
        problems = [] if first.code else await _compared(submission, options, first, unstable)
        found = {"code": first.code, "counted": len(first.files), "unstable": unstable}
        return json.dumps({**found, "problems": [asdict(problem) for problem in problems]})

    environment = await submission.environment(job.base)
    tree = submission.store.tree_of(await judged_tree(submission, job.base))
    key = sha256(f"{tree} {environment.key} {globs} {options.model_dump_json()}".encode()).hexdigest()
    try:
        known = json.loads(await submission.base_result(f"transform:{key}", run))
    except CannotJudge:
        # Not kept: another time it may be able to.
        return None
    problems = tuple(Problem(**problem) for problem in known["problems"])
    return OnBase(known["code"], known["counted"], problems, tuple(known["unstable"]))


def _first_difference(ours: bytes, theirs: bytes) -> tuple[int | None, str]:
    """The first line that is not the same, and some lines of both from there on."""
    if b"\0" in ours or b"\0" in theirs:
        return None, "; its bytes differ."
    one, other = [data.decode("utf-8", "replace").split("\n") for data in (ours, theirs)]
    alike = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    if alike == min(len(one), len(other)) and len(one) == len(other):
        return None, ", further down than is shown."
    lines = [f"- {line[:DIFF_LINE_CHARS_MAX]}" for line in one[alike : alike + DIFF_LINES]]
    lines += [f"+ {line[:DIFF_LINE_CHARS_MAX]}" for line in other[alike : alike + DIFF_LINES]]
    return alike + 1, ":\n" + "\n".join(lines)


def _unsteady(path: str, options: Options) -> Problem:
    message = f"`{options.run}` makes {path} otherwise each time it runs, and on the base it does not."
    satisfy = (
        f"Let {path} depend on the files of the tree alone: on no time, folder, number of a process or order of sets."
    )
    return Problem("not-deterministic", message, path, satisfy=satisfy, mark=path)


def _wrote_elsewhere(made: Made) -> str:
    if not made.outside:
        return ""
    return f"The command also wrote {some_of(made.outside, NAMES_MAX)}, which is not compared."
