"""What became of a merge: conflicts that were left as git had them, and what others had landed and is gone again."""

import re

from anyio import to_thread

from ..artifact_store.objects import TooLarge
from ..contract import Merged
from ..findings import Problem, Question
from ..text import some_of
from .submission import Submission

BYTES_MAX = 50_000_000
PATHS_NAMED_MAX = 50
MARKERS = (re.compile(rb"^<{7} ", re.MULTILINE), re.compile(rb"^>{7} ", re.MULTILINE))
CONFLICT = "conflict"
TAKEN_BACK = "taken-back"


async def unresolved(submission: Submission) -> tuple[list[Problem], list[Question]]:
    """What must be mended, and what a person decides: where git kept one side in silence, nobody may have looked."""
    marked, silent = dict[str, Problem](), dict[str, Problem]()
    for merged, path in [(each, path) for each in submission.job.merges for path in each.conflicts]:
        if await _is_marked(submission, merged.commit, path):
            if await _is_marked(submission, submission.job.commit, path):
                message = f"{path} still has the conflict that it came with."
                marked[path] = Problem(CONFLICT, message, path, satisfy="Resolve it and remove the markers.")
        elif (kept := await _kept(submission, merged, path)) is not None:
            message = f"{path} was altered by both sides of a merge, and is as one of them had it."
            satisfy = "Wait for a person's answer, or hand in what both sides need."
            silent[path] = Problem(CONFLICT, message, path, text=kept, satisfy=satisfy, severity="question")
    if not silent:
        return [*marked.values()], []
    question = f"May one side stand alone where two had altered: {some_of(sorted(silent), PATHS_NAMED_MAX)}?"
    return [*marked.values()], [Question(question, tuple(silent.values()))]


async def taken_back(submission: Submission) -> dict[str, Problem]:
    """By path what lacks something that others have landed, though git would have merged it.

    `git merge -s ours` does that, and so does a commit of old files on a new target. Not where a conflict was resolved:
    what both sides need there is not git's to know.
    """
    job = submission.job
    if job.merged_again is None:
        return {}
    resolved = {path for merged in (*job.merges, job.merged_again) for path in merged.conflicts}
    found = {}
    for path in [change.path for change in await submission.changes(job.commit, job.merged_again.commit)]:
        if path not in resolved:
            message = f"{path} lacks something that others have landed and that was merged into this work."
            satisfy = "Merge both sides of it. Where that would be wrong, dispute this finding: a person decides."
            found[path] = Problem(TAKEN_BACK, message, path, satisfy=satisfy)
    return found


async def _kept(submission: Submission, merged: Merged, path: str) -> str | None:
    """What git made of the path, when the artifact has just that; none when it has something else, or nothing."""
    sides = await to_thread.run_sync(submission.store.parents, merged.commit)
    if not any([path in await submission.entries(side) for side in sides]):
        # git put it there: into a folder that the other side had renamed, or out of the way. Nothing of it was altered.
        return None
    before = (await submission.entries(merged.commit)).get(path)
    after = (await submission.entries(submission.job.commit)).get(path)
    if before is None or after is None or (before.mode, before.oid) != (after.mode, after.oid):
        return None
    return f"{after.mode} {after.oid}"


async def _is_marked(submission: Submission, commit: str, path: str) -> bool:
    try:
        data = await submission.read(commit, path, BYTES_MAX) or b""
    except TooLarge:
        # What git made of it and nobody altered is asked about.
        return False
    return all(marker.search(data) for marker in MARKERS)
