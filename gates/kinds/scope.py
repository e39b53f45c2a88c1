"""The `scope` kind, always on: an artifact changes something, and only what its stage may write.

Blamed is what differs from where the stage started, both sides of renames, in the final tree and in every commit on the
way. Where the artifact has merged the target, it started from the server's own merge of it: what others have landed is
not blamed on it, and taking that back is. What judges the artifact (protected files and tables) may be changed, but a
person decides about it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from anyio import to_thread

from ...schemas.pipeline import GateSpec, Model
from ...schemas.records import Evidence
from ..artifact_store.objects import LINK, SUBMODULE
from ..artifact_store.trees import LINK_BYTES_MAX, TreeProblem, check_tree
from ..artifact_store.walk import Change, TreeEntry
from ..contract import Specimen, Spoiled
from ..findings import Judged, Problem, Question, conclude
from ..judging.looking_away import unasked
from ..judging.merging import taken_back, unresolved
from ..judging.planting import DESCRIPTION, path_in, path_outside
from ..judging.submission import Submission
from ..paths import matches
from ..regime import protected_changes
from ..text import some_of

OUR_FOLDER = ".gatewright"
SOURCE_SUFFIXES = (".py", ".pyi")
ATTRIBUTES_FILE = ".gitattributes"
ATTRIBUTES_BYTES_MAX = 1_000_000
CONVERTING = re.compile(r"\b(?:working-tree-encoding|filter|ident)\b")
DIFF_BYTES_MAX = 4_000
FILES_WITH_DIFF_MAX = 10
FILES_NAMED_MAX = 50


class Options(Model):
    """None: what may be written is the stage's to say."""


class Scope:
    """See the module."""

    name = "scope"
    unit = "tree entries"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """The globs themselves are the stage's."""
        return "Only paths that the stage may write are changed, and at least one. Counted: changed tree entries."

    def references(self, options: Options) -> tuple[str, ...]:
        """Nothing of the policy commit is read."""
        return ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Refuse before asking: a person is not shown what fails anyway."""
        job = submission.job
        changes = await submission.changes(job.scope_base, job.commit)
        if not changes:
            return conclude(gate, Judged(0, self.unit, new=(_changes_nothing(),)))
        conflicts, silent = await unresolved(submission)
        problems = [
            *await _outside(submission, changes),
            *await _taken_back(submission),
            *_reserved(changes),
            *await _unfit(submission, changes),
            *await _disguised(submission, changes),
            *_too_large(submission, changes, await submission.entries(job.commit)),
            *conflicts,
        ]
        questions = [
            *silent,
            *_submodules(changes),
            *await _attributes(submission, changes),
            *await _protected(submission, changes),
            *await unasked(submission, changes),
        ]
        return conclude(gate, Judged(len(changes), self.unit, tuple(problems), questions=tuple(questions)))

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """A file that the stage may write."""
        path = path_in(tree.writes, tree)
        return {} if path is None else {path: DESCRIPTION}

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """A file that it may not."""
        path = path_outside(tree.writes, tree)
        return Spoiled({path: DESCRIPTION}, f"{path}, which this stage may not write")


KIND = Scope()


def default_gate() -> GateSpec:
    """The gate that runs though no pipeline names it."""
    return GateSpec(kind=Scope.name, name=Scope.name)


def _changes_nothing() -> Problem:
    return Problem("nothing", "The artifact changes nothing.", satisfy="Make the change that the stage asks for.")


async def _outside(submission: Submission, changes: Sequence[Change]) -> list[Problem]:
    job = submission.job
    on_the_way = await to_thread.run_sync(submission.store.range_changes, job.scope_base, job.commit)
    start = await submission.entries(job.scope_base)
    final = {change.path for change in changes}
    # What a merge on the way put together of the target's and the work's is in the merge that the server makes too.
    fleeting = {c.path for c in on_the_way if not _is(start.get(c.path), c)}
    conflicts = {path for merged in job.merges if merged.commit == job.scope_base for path in merged.conflicts}
    writes = ", ".join(job.writes)
    problems = []
    for path in sorted(final | fleeting):
        if matches(path, job.writes):
            continue
        if path in conflicts:
            message = f"{path} conflicts with the target that was merged in, and this stage may write only {writes}."
            satisfy = "Hand the work in without that merge; the conflict goes to the stage that may write it."
        else:
            where = "" if path in final else " in a commit on the way"
            message = f"{path} is changed{where}, but this stage may write only {writes}."
            satisfy = f"Leave {path} as it is at {job.scope_base}" + (" in every commit." if where else ".")
        problems.append(Problem("outside", message, path, satisfy=satisfy))
    return problems


async def _taken_back(submission: Submission) -> list[Problem]:
    """What the stage may not write anyway is told as that."""
    found = await taken_back(submission)
    return [problem for path, problem in found.items() if matches(path, submission.job.writes)]


def _is(entry: TreeEntry | None, change: Change) -> bool:
    """Whether the change makes the path what the entry is."""
    return (change.new_mode, change.new_oid) == ((entry.mode, entry.oid) if entry is not None else (None, None))


def _reserved(changes: Iterable[Change]) -> Iterator[Problem]:
    for change in changes:
        if change.new_oid is not None and change.path.partition("/")[0].casefold() == OUR_FOLDER:
            message = f"{change.path} would land among the workspaces of other agents."
            yield Problem("reserved", message, change.path, satisfy=f"Remove {change.path}.")


async def _unfit(submission: Submission, changes: Sequence[Change]) -> Iterator[Problem]:
    written = {change.path for change in changes if change.new_oid is not None}
    entries = (await submission.entries(submission.job.commit)).values()

    def read_blobs(oids: Sequence[str]) -> Mapping[str, bytes]:
        return submission.store.blobs(oids, bytes_max=LINK_BYTES_MAX)

    found = await to_thread.run_sync(check_tree, tuple(entries), read_blobs)
    return (_tree_problem(problem) for problem in found if problem.path in written)


async def _disguised(submission: Submission, changes: Iterable[Change]) -> list[Problem]:
    """Modules that are links to files of another kind: Python imports them, and no gate finds them by their suffix."""
    linked = (c for c in changes if c.new_mode == LINK and c.path.endswith(SOURCE_SUFFIXES))
    links = {change.path: change.new_oid for change in linked if change.new_oid}
    read = partial(submission.store.blobs, list(links.values()), bytes_max=LINK_BYTES_MAX)
    targets = await to_thread.run_sync(read) if links else {}
    satisfy = "Make it a file, or let it lead to one with the same suffix."
    return [
        Problem("link", f"{path} is a link to something that no gate takes for Python.", path, satisfy=satisfy)
        for path, oid in links.items()
        if not targets[oid].endswith(tuple(suffix.encode() for suffix in SOURCE_SUFFIXES))
    ]


def _tree_problem(problem: TreeProblem) -> Problem:
    return Problem(problem.rule, problem.message, problem.path, satisfy=f"Remove or rename {problem.path}.")


def _too_large(submission: Submission, changes: Iterable[Change], entries: Mapping[str, object]) -> Iterator[Problem]:
    allowed = submission.limits.file
    for change in changes:
        size = getattr(entries.get(change.path), "size", 0)
        if change.new_oid is not None and size > allowed:
            message = f"{change.path} has {size} bytes; {allowed} are allowed."
            yield Problem("size", message, change.path, satisfy="Make it smaller or keep it out of the repository.")


def _submodules(changes: Iterable[Change]) -> Iterator[Question]:
    moved = [change for change in changes if SUBMODULE in (change.old_mode, change.new_mode)]
    if moved:
        about = tuple(
            Problem(
                "submodule", f"The submodule {c.path} is changed.", c.path, text=f"{c.new_oid}", severity="question"
            )
            for c in moved
        )
        lines = "\n".join(f"{c.path}: {c.old_oid or 'absent'} -> {c.new_oid or 'removed'}" for c in moved)
        yield Question("May these submodules be changed?", about, lines)


async def _attributes(submission: Submission, changes: Iterable[Change]) -> list[Question]:
    """Gates see the bytes that were committed; with these attributes every other checkout has others."""
    job = submission.job
    about: list[Problem] = []
    lines: list[str] = []
    for change in changes:
        if change.path.rpartition("/")[2].casefold() != ATTRIBUTES_FILE or change.new_oid is None:
            continue
        was, now = [
            (await submission.read(commit, change.path, ATTRIBUTES_BYTES_MAX) or b"").decode("utf-8", "replace")
            for commit in (job.scope_base, job.commit)
        ]
        fresh = [line for line in now.splitlines() if CONVERTING.search(line) and line not in was.splitlines()]
        lines += (f"{change.path}: {line}" for line in fresh)
        if fresh:
            message = f"{change.path} makes git check out other bytes than gates judge."
            mark = f"{change.path} {change.new_oid}"
            about.append(Problem("attributes", message, change.path, mark=mark, severity="question"))
    return (
        [Question("May files be converted when they are checked out?", tuple(about), "\n".join(lines))] if about else []
    )


async def _protected(submission: Submission, changes: Sequence[Change]) -> list[Question]:
    job = submission.job
    protected = await protected_changes(submission, changes)
    if not protected:
        return []
    about = tuple(
        Problem(
            "protected",
            f"{change.path} is protected: it takes part in judging this change, and a person decides about it.",
            change.path,
            # The question is about these contents; other contents are another question.
            text=f"{change.new_mode} {change.new_oid}",
            satisfy="Wait for a person's answer, or leave the file as it was.",
            severity="question",
        )
        for change in protected
    )
    shown = protected[:FILES_WITH_DIFF_MAX]
    diffs = [await submission.diff(job.scope_base, job.commit, change.path, DIFF_BYTES_MAX) for change in shown]
    if len(protected) > len(shown):
        diffs.append(f"The differences of {len(protected) - len(shown)} more files are not shown.")
    names = some_of([change.path for change in protected], FILES_NAMED_MAX)
    return [Question(f"May these protected files be changed: {names}?", about, "\n".join(diffs))]
