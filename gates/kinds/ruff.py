"""The `ruff` kind: no rule of ruff is broken that the base did not break, under the policy commit's configuration.

Comments that make ruff or a type checker look away are counted by what they say: when an artifact has more of one than
where its stage started, hides a rule's findings more often, or puts a stub beside a module, a person decides.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, model_validator

from ...schemas.pipeline import Duration, GateSpec, Glob, Model
from ...schemas.records import Evidence
from ..contract import Specimen, Spoiled
from ..findings import Judged, Problem, Question, conclude, split_by_base
from ..judging.looking_away import comments, marks, stubs
from ..judging.planting import DESCRIPTION, appended, named, path_in, sources, spread
from ..judging.submission import Submission
from ..judging.suppressions import marks_of
from .compile import SUFFIXES, python_files
from .narrowing import narrowed, told
from .ruff_canary import breach, checks_everything
from .ruff_layout import split_by_statement
from .ruff_tool import SYNTAX, Ruff, checked, find_ruff, lint, unformatted


class Options(Model):
    """`select` and `ignore` replace the configuration's rules; `config` names another file than the usual ones.

    `changed_only` leaves out files that are as on the base. A few rules look beyond a file, so what lands is looked at
    as a whole.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    format: bool = False
    config: str | None = Field(default=None, min_length=1)
    paths: tuple[Glob, ...] = ("**",)
    changed_only: bool = False
    absolute: bool = False
    timeout: Duration | None = None

    @model_validator(mode="after")
    def _sees_all_that_it_holds_against_the_artifact(self) -> Self:
        if self.changed_only and self.absolute:
            raise ValueError("`absolute` is about every file, `changed_only` about some")
        return self


class RuffKind:
    """See the module."""

    name = "ruff"
    unit = "files"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """The rules, if they are the gate's own, and whether formatting counts."""
        rules = f" ({', '.join(options.select)})" if options.select else ""
        extent = "no findings" if options.absolute else "no finding that the base does not have"
        layout = "; changed files stay formatted" if options.format else ""
        return f"ruff check{rules} has {extent}{layout}. More noqa or type: ignore asks a person. Counted: files."

    def references(self, options: Options) -> tuple[str, ...]:
        """The configuration that the gate names."""
        return (options.config,) if options.config else ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Check the artifact; the base only when there is something to compare."""
        job = submission.job
        everything = await python_files(submission, job.commit, options.paths)
        if not everything:
            return conclude(gate, Judged(0, self.unit))
        ruff = await find_ruff(
            submission,
            config=options.config,
            select=options.select,
            ignore=options.ignore,
            timeout_s=options.timeout or submission.limits.gate,
        )
        whole = await checked(submission, ruff, job.commit, everything)
        paths = await narrowed(submission, whole) if options.changed_only else whole
        problems, runs = await lint(submission, ruff, job.commit, paths)
        if options.format:
            broken = {problem.path for problem in problems if problem.rule == SYNTAX}
            problems += await _layout(submission, ruff, [p for p in paths if p not in broken], options)
        moved = await submission.moved() if problems else {}
        base = await _on_base(submission, ruff, problems, moved) if problems and not options.absolute else []
        new, tolerated = await split_by_statement(submission, ruff, problems, base, moved)
        questions = await _suppressed(submission, ruff, paths)
        judged = Judged(
            len(paths),
            self.unit,
            new,
            tolerated,
            tuple(questions),
            summary=told(paths, whole),
            runs=tuple(runs),
            environment=(("ruff", ruff.version),),
            moved=moved,
        )
        return conclude(gate, judged)

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """A module, where there is none yet."""
        path = None if sources(tree, options.paths, SUFFIXES) else path_in(options.paths, tree, suffix=".py")
        return {} if path is None else {path: DESCRIPTION}

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """A breach of a rule that the gate selects, in some of the files."""
        what, text = breach(tree, config=options.config, select=options.select, ignore=options.ignore)
        paths = spread(sources(tree, options.paths, (".py",)))
        if not paths:
            return None
        is_certain = checks_everything(tree, options.config)
        return Spoiled(appended(tree, paths, text), f"{what} in {named(paths)}", is_certain=is_certain)


KIND = RuffKind()


async def _on_base(
    submission: Submission, ruff: Ruff, problems: Sequence[Problem], moved: Mapping[str, str]
) -> list[Problem]:
    """What ruff finds in the base's version of those files that have problems now, or that code was taken from."""
    job = submission.job
    there = await submission.entries(job.base)
    wanted = {moved.get(p.path, p.path) for p in problems if p.path} & there.keys()
    taken_from = [c.path for c in await submission.changes(job.base, job.commit) if c.old_oid]
    wanted |= set(await _regular(submission, job.base, taken_from))
    found, _ = await lint(submission, ruff, job.base, sorted(wanted))
    # A file that was not formatted on the base has nothing to lose; `_layout` tells only of those that were.
    return found


async def _layout(submission: Submission, ruff: Ruff, paths: Sequence[str], options: Options) -> list[Problem]:
    job = submission.job
    changed = {change.path for change in await submission.changes(job.base, job.commit)}
    candidates = [path for path in paths if options.absolute or path in changed]
    loose = await unformatted(submission, ruff, job.commit, candidates)
    if loose and not options.absolute:
        moved = await submission.moved()
        there = await submission.entries(job.base)
        before = {path: moved.get(path, path) for path in loose if moved.get(path, path) in there}
        broken = {
            p.path for p in (await lint(submission, ruff, job.base, sorted(before.values())))[0] if p.rule == SYNTAX
        }
        was_loose = await unformatted(submission, ruff, job.base, sorted({*before.values()} - broken))
        loose = {path for path in loose if path not in before or before[path] not in was_loose | broken}
    return [
        Problem("format", f"{path} is not formatted.", path, satisfy=f"Run ruff format {path}.")
        for path in sorted(loose)
    ]


async def _suppressed(submission: Submission, ruff: Ruff, paths: Sequence[str]) -> list[Question]:
    """The question about what the artifact hides more than where its stage started; none when it hides no more."""
    job = submission.job
    changes = await submission.changes(job.scope_base, job.commit)
    judged = set(paths)
    now = [c.path for c in changes if c.new_oid and c.path in judged]
    comments_now = await comments(submission, job.commit, now)
    hiding = [stub for stub in await stubs(submission, changes) if stub.path in judged]
    if not comments_now and not hiding:
        return []
    was = await _regular(submission, job.scope_base, [c.path for c in changes if c.old_oid])
    comments_was = await comments(submission, job.scope_base, was)
    hidden_now = await _hidden(submission, ruff, job.commit, sorted({p.path for p in comments_now if p.path}))
    hidden_was = await _hidden(submission, ruff, job.scope_base, sorted({p.path for p in comments_was if p.path}))
    grown = Counter(p.rule for p in hidden_now) - Counter(p.rule for p in hidden_was)
    said = marks(comments_now) - marks(comments_was)
    if not said and not grown and not hiding:
        return []
    fresh, _ = split_by_base(comments_now, comments_was, await submission.moved())
    fresh = (*(p for p in fresh if said.keys() & {*marks_of(p.text)}), *hiding)
    hidden, _ = split_by_base(hidden_now, hidden_was, await submission.moved())
    about = (*fresh, *(p for p in hidden if p.rule in grown)) if fresh else tuple(p for p in hidden if p.rule in grown)
    lines = "\n".join(f"{p.path}:{p.line}: {p.text}" for p in about)
    return [Question("May the artifact suppress these checks?", about or tuple(comments_now), lines)]


async def _regular(submission: Submission, commit: str, paths: Sequence[str]) -> list[str]:
    wanted = set(paths)
    return [path for path in await python_files(submission, commit, ("**",)) if path in wanted]


async def _hidden(submission: Submission, ruff: Ruff, commit: str, paths: Sequence[str]) -> list[Problem]:
    """What ruff would find in the files if no comment hid it."""
    shown, _ = await lint(submission, ruff, commit, paths)
    everything, _ = await lint(submission, ruff, commit, paths, "--ignore-noqa")
    hidden, _ = split_by_base(everything, shown, {})
    return [
        Problem(p.rule, f"Hidden by a comment: {p.message}", p.path, p.line, p.text, severity="question")
        for p in hidden
    ]
