"""Look only at files that differ from the base: the others are judged alike on both sides, and nobody is blamed.

That holds for checks of one file at a time whose rules are the policy's. Where nothing of what is checked differs, some
files are looked at all the same, because a gate that looked at nothing has not shown that it can see.
"""

from collections.abc import Sequence

from ..placeholders import ATTRIBUTES_FILE
from ..submission import Submission

LOOKED_AT_MIN = 100


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
