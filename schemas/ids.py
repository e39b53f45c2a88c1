"""Names and numbers: their shape, and how to take one apart.

Nothing here decides whether a thing exists; it only says whether a text could name one. Ids are checked before they
reach git or the store, because a "commit" such as `--output=x` would be an option there.
"""

import re
from dataclasses import dataclass
from typing import NewType

ChangeId = NewType("ChangeId", str)
StageName = NewType("StageName", str)

CHANGE_ID = re.compile(r"c[1-9][0-9]{0,8}")
STAGE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# `e`: of an attempt or a landing, numbered by the change; `d`: a dry run, numbered by the store.
EVALUATION_ID = re.compile(r"(c[1-9][0-9]{0,8})\.[ed][1-9][0-9]{0,8}")

# A lease of a stage says its fence; one of a review says its number, after an `r`.
LEASE = re.compile(r"gw1\.(c[1-9][0-9]{0,8})\.([a-z][a-z0-9_-]{0,31})\.(r?)([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{22})")

# The land gates' name where a stage is expected: never a stage, because `land` is a key of its own in the pipeline.
LAND = StageName("land")


@dataclass(frozen=True, slots=True)
class LeaseName:
    """What a lease token says in clear; `proof` is what only the store's secret could have made."""

    change: ChangeId
    stage: StageName
    fence: int
    proof: str


@dataclass(frozen=True, slots=True)
class ReviewLeaseName:
    """What the token of a review lease says in clear; `number` counts those of the stage."""

    change: ChangeId
    stage: StageName
    number: int
    proof: str


def parse_lease(token: str) -> LeaseName | ReviewLeaseName | None:
    """Take a lease token apart; None when it does not even look like one."""
    found = LEASE.fullmatch(token)
    if found is None:
        return None
    change, stage = ChangeId(found[1]), StageName(found[2])
    if found[3]:
        return ReviewLeaseName(change, stage, int(found[4]), found[5])
    return LeaseName(change, stage, int(found[4]), found[5])


def format_lease(change: str, stage: str, fence: int, proof: str) -> str:
    """The inverse of `parse_lease`, of a stage."""
    return f"gw1.{change}.{stage}.{fence}.{proof}"


def format_review_lease(change: str, stage: str, number: int, proof: str) -> str:
    """The inverse of `parse_lease`, of a review."""
    return f"gw1.{change}.{stage}.r{number}.{proof}"


def short(commit: str) -> str:
    """A commit id for people to read; never for a program."""
    return commit[:10]
