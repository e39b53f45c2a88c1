"""Look only at files that differ from the base: the others are judged alike on both sides, and nobody is blamed.

That holds for checks of one file at a time whose rules are the policy's. Where nothing of what is checked differs, some
files are looked at all the same, because a gate that looked at nothing has not shown that it can see.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from ..artifact_store.objects import EXECUTABLE, FILE
from ..checkouts.placeholders import ATTRIBUTES_FILE
from ..contract import CannotJudge
from ..judging.submission import Submission
from ..paths import matches

LOOKED_AT_MIN = 100
# Names, for commands, a file that lists paths, each followed by NUL.
CHANGED_FILES = "GATEWRIGHT_CHANGED_FILES"


async def narrowed(submission: Submission, paths: Sequence[str]) -> list[str]:
    """Those of the artifact's files that differ from the base; the first few when none does.

    All of them when attributes changed, by which a file has other content though its blob is the same.
    """
    changes = await submission.changes(submission.job.base, submission.job.commit)
    if any(change.path.rpartition("/")[2] == ATTRIBUTES_FILE for change in changes):
        return list(paths)
    changed = {change.path for change in changes if change.new_oid is not None}
    return [path for path in paths if path in changed] or list(paths[:LOOKED_AT_MIN])


async def counterparts(submission: Submission, paths: Sequence[str]) -> list[str]:
    """Those of the base's files that the artifact changed, moved or removed: where anything may have come from."""
    changes = await submission.changes(submission.job.base, submission.job.commit)
    changed = {change.path for change in changes if change.old_oid is not None}
    return [path for path in paths if path in changed]


def told(looked_at: Sequence[str], of: Sequence[str]) -> str:
    """A sentence that says how many were left out; empty when none was."""
    left_out = len(of) - len(looked_at)
    return f"{left_out} more are as on the base and were not looked at again." if left_out else ""


async def write_list(submission: Submission, commit: str, run_in: str, globs: Sequence[str]) -> Path:
    """List for a command the files of `commit` that it is to look at, of those that `run_in`, the tree it sees, has.

    Raises `CannotJudge` when there is no such file at all.
    """
    entries = await submission.entries(run_in)
    regular = (path for path, entry in entries.items() if entry.mode in (FILE, EXECUTABLE))
    whole = sorted(path for path in regular if matches(path, globs))
    if not whole and commit == submission.job.commit:
        raise CannotJudge(f"Checked nothing: no file matches {', '.join(globs)}.")
    choose = narrowed if commit == submission.job.commit else counterparts
    paths = await choose(submission, whole)
    place = submission.make_folder("list") / "changed"
    content = b"".join(os.fsencode(path) + b"\0" for path in paths)
    await to_thread.run_sync(place.write_bytes, content)
    return place
