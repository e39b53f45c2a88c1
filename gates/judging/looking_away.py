"""What makes checkers look away: comments that an artifact adds, and stubs that hide a module from type checkers.

The `ruff` kind asks about them. Where a pipeline has no gate of that kind, its other checkers obey such comments and
nobody counts them: then `scope` asks.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..artifact_store.objects import EXECUTABLE, FILE
from ..artifact_store.walk import Change, TreeEntry
from ..findings import Problem, Question, split_by_base
from .submission import Submission
from .suppressions import find_suppressions, marks_of

SOURCE_BYTES_MAX = 5_000_000
SUFFIXES = (".py", ".pyi")
RULE = "suppression"
ASKS, OBEYS = "ruff", "command"
# Type checkers look here before they look at the project: `typings` is pyright's, `calc-stubs` stands for `calc`.
STUB_FOLDER, STUB_PACKAGE = "typings", "-stubs"


async def comments(submission: Submission, commit: str, paths: Collection[str]) -> list[Problem]:
    """The suppressing comments in these regular files of a commit."""
    found: list[Problem] = []
    for path, source in (await submission.contents(commit, paths, SOURCE_BYTES_MAX)).items():
        found += [
            Problem(RULE, "A comment makes a checker look away.", path, s.line, s.text, severity="question")
            for s in find_suppressions(source)
        ]
    return found


def marks(found: Sequence[Problem]) -> Counter[str]:
    """What the comments say, each as often as it is said."""
    return Counter(mark for comment in found for mark in marks_of(comment.text))


async def stubs(submission: Submission, changes: Iterable[Change]) -> list[Problem]:
    """Stubs that the artifact adds for modules of its own: type checkers read the stub, and not the module any more."""
    there = await submission.entries(submission.job.commit)
    added = (c.path for c in changes if c.old_oid is None and c.new_oid and c.path.endswith(".pyi"))
    message = "A stub makes type checkers look away from the module that it describes."
    return [
        Problem(RULE, message, path, 1, path, severity="question") for path in added if _is_of_a_module(path, there)
    ]


async def unasked(submission: Submission, changes: Sequence[Change]) -> list[Question]:
    """The question that no `ruff` gate of the pipeline asks, though programs of it obey comments; else nothing."""
    job, pipeline = submission.job, submission.job.policy.pipeline
    gates = [gate for stage in pipeline.stages.values() for gate in stage.gates] + [*(pipeline.land.gates or ())]
    kinds = {gate.kind for gate in gates}
    if ASKS in kinds or OBEYS not in kinds:
        return []
    now = await comments(submission, job.commit, await _sources(submission, job.commit, changes))
    hiding = await stubs(submission, changes)
    if not now and not hiding:
        return []
    was = await comments(submission, job.scope_base, await _sources(submission, job.scope_base, changes))
    said = marks(now) - marks(was)
    fresh, _ = split_by_base(now, was, await submission.moved())
    about = (*(p for p in fresh if said.keys() & {*marks_of(p.text)}), *hiding)
    if not said and not hiding:
        return []
    lines = "\n".join(f"{p.path}:{p.line}: {p.text}" for p in about)
    return [Question("May the artifact suppress these checks?", about or tuple(now), lines)]


async def _sources(submission: Submission, commit: str, changes: Iterable[Change]) -> list[str]:
    entries = await submission.entries(commit)
    paths = dict.fromkeys(change.path for change in changes if change.path.endswith(SUFFIXES))
    return [path for path in paths if path in entries and entries[path].mode in (FILE, EXECUTABLE)]


def _is_of_a_module(path: str, there: Mapping[str, TreeEntry]) -> bool:
    module = path.removesuffix("i")
    described = "/".join(part.removesuffix(STUB_PACKAGE) for part in module.split("/") if part != STUB_FOLDER)
    return any(place in there for place in (module, described, f"src/{described}"))
