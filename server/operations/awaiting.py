"""What only people can move, in every change that is under way, each with the command that does."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...gates.machine import landing as landing_rules
from ...gates.machine.approvals import open_approvals_of
from ...gates.machine.questions import open_questions
from ...gates.machine.reasons import Who, reason_of
from ...gates.text import shorten
from ...schemas.records import ChangeRecord, LandingStep, StageRecord, StageState
from ..people.register import read_people
from .explaining import REGISTER_FIRST

if TYPE_CHECKING:
    from ..store.tx import Tx

TOLD_MAX = 12
TEXT_CHARS_MAX = 280
# Changes are looked through one page after the other: a busy repository has thousands.
PAGE = 50
CHANGES_SCANNED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Awaited:
    """What waits for people: the first of it in words, and how much there is in all."""

    told: tuple[str, ...]
    total: int

    @classmethod
    def of(cls, texts: tuple[str, ...]) -> "Awaited":
        return cls(texts[:TOLD_MAX], len(texts))

    @property
    def more(self) -> int:
        """How much is not told."""
        return self.total - len(self.told)


def everything_awaited(tx: "Tx") -> Awaited:
    """What waits for people in all changes under way, the oldest first; beyond `CHANGES_SCANNED_MAX` nobody looks."""
    texts: list[str] = []
    after = 0
    for _ in range(CHANGES_SCANNED_MAX // PAGE):
        page = tx.changes_maybe_awaited(after=after, limit=PAGE)
        texts += [text for record in page for text in awaited_of(tx, record)]
        if len(page) < PAGE:
            break
        after = int(page[-1].id[1:])
    return Awaited.of(tuple(texts))


def awaited_of(tx: "Tx", record: ChangeRecord) -> tuple[str, ...]:
    """What only a person can move in one change, each with the command that does."""
    told = [text for stage in record.stages for text in _about_stage(record, stage)]
    approvals = open_approvals_of(record)
    is_nobody_there = any(not approval.is_signed for approval in approvals) and not read_people(tx)
    for approval in approvals:
        first = REGISTER_FIRST if is_nobody_there and not approval.is_signed else ""
        told.append(f"{approval.sentence}: {first}`{approval.command}`")
    found = record.landing
    if found is not None and found.step is LandingStep.ASKING:
        told += [
            f"land gate '{gate}' asks about {record.id}: `gatewright answer {record.id} land`"
            for gate in landing_rules.open_questions(record, found)
        ]
    if found is not None and found.step is LandingStep.BLOCKED:
        told.append(f"landing of {record.id} waits: {shorten(found.because or '', TEXT_CHARS_MAX)}")
    return tuple(told)


def _about_stage(record: ChangeRecord, stage: StageRecord) -> list[str]:
    told = [
        f"gate '{gate}' asks about {record.id}/{stage.name}: `gatewright answer {record.id} {stage.name}`"
        for gate in open_questions(record, stage)
    ]
    if stage.state is StageState.ESCALATED and stage.escalation is not None:
        question = shorten(stage.escalation.question, TEXT_CHARS_MAX)
        unlocks = reason_of(record, stage, record.touched_at).unlocks
        first = next((unlock.how for unlock in unlocks if unlock.who is Who.PERSON), "")
        more = f" (`gatewright why {record.id} {stage.name}` tells what else)" if len(unlocks) > 1 else ""
        told.append(f"{record.id}/{stage.name}: {question}: {first}{more}")
    return told
