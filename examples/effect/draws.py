"""What the simulated agents get wrong, and when: drawn from the seed, the task, the stage and the try.

The same try of the same task comes out the same in every arm, so arms differ by their gates and by nothing else.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tasks import Flaw, Stage


class Kind(StrEnum):
    """How an agent goes wrong."""

    INDEPENDENT = "independent"
    CORRELATED = "correlated"
    CHEATING = "cheating"


class Cheat(StrEnum):
    """What a cheating agent does instead of the work."""

    EDITS_TESTS = "edits tests"
    FORGES_A_REPORT = "forges a report"
    HANDS_IN_LATE = "hands in late"
    HANDS_IN_TWICE = "hands in twice"
    WORKS_ON_ANOTHER_STAGE = "works on another stage"
    WEAKENS_THE_CHECK = "weakens the check"
    SUPPRESSES_FINDINGS = "suppresses findings"
    KNOWS_THE_ANSWERS = "hard-codes the known answers"


@dataclass(frozen=True, slots=True)
class Work:
    """One try: flawless, with a flaw, or with a flaw and a cheat to get it through."""

    flaw: Flaw | None
    cheat: Cheat | None = None


# How likely a submission is wrong: at first, and after a rejection. 45 % and 68 % are those of a published log of 5,109
# gate checks (first pass through all gates 55 %; 31.5 % of revisions recover).
WRONG_FIRST: Mapping[Kind, float] = {Kind.INDEPENDENT: 0.20, Kind.CORRELATED: 0.45, Kind.CHEATING: 0.20}
WRONG_AGAIN: Mapping[Kind, float] = {Kind.INDEPENDENT: 0.20, Kind.CORRELATED: 0.68, Kind.CHEATING: 0.20}
# Of what is wrong, so much is wrong in this way.
FLAW_SHARES: Mapping[Flaw, float] = {Flaw.FORM: 0.6, Flaw.KNOWN: 0.2, Flaw.HIDDEN: 0.2}
CHEATS_SHARE = 0.5
# One model finds a third of seeded defects; a false alarm of a reviewer is our assumption.
REVIEWER_FINDS = 1 / 3
REVIEWER_IMAGINES = 0.03

# Only in code is there something to suppress, or an answer to know.
CODE_CHEATS = (Cheat.SUPPRESSES_FINDINGS, Cheat.KNOWS_THE_ANSWERS)
OWN_FLAW: Mapping[Cheat, Flaw] = {Cheat.SUPPRESSES_FINDINGS: Flaw.HIDDEN}


def kind_of(number: int) -> Kind:
    """Who does the task of that number: each kind in turn."""
    return tuple(Kind)[number % len(Kind)]


def source(seed: int, number: int, stage: Stage, tried: int, purpose: str) -> random.Random:
    """The randomness of one try, apart for each purpose, so that one draw never moves another."""
    return random.Random(f"{seed}/{number}/{stage}/{tried}/{purpose}")


def draw_work(seed: int, number: int, kind: Kind, stage: Stage, tried: int) -> Work:
    """What the try comes to; `tried` counts the tries at this stage before it, all of which were rejected."""
    rng = source(seed, number, stage, tried, "work")
    is_cheat, is_wrong = rng.random() < CHEATS_SHARE, rng.random()
    if kind is Kind.CHEATING and is_cheat:
        cheats = [cheat for cheat in Cheat if stage is Stage.CODE or cheat not in CODE_CHEATS]
        cheat = rng.choice(cheats)
        return Work(OWN_FLAW.get(cheat, Flaw.KNOWN if stage is Stage.CODE else Flaw.FORM), cheat)
    if is_wrong >= (WRONG_AGAIN if tried else WRONG_FIRST)[kind]:
        return Work(None)
    (flaw,) = rng.choices(tuple(FLAW_SHARES), tuple(FLAW_SHARES.values()))
    return Work(flaw)


def reviewer_objects(seed: int, number: int, stage: Stage, tried: int, *, is_bad: bool) -> bool:
    """Whether a reviewer objects to the try."""
    luck = source(seed, number, stage, tried, "review").random()
    return luck < (REVIEWER_FINDS if is_bad else REVIEWER_IMAGINES)
