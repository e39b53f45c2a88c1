"""Why one stage, or the landing, stands where it does, as data for agents: the rules are `gates/machine/reasons.py`.

Everything is bounded: it is one screen for a person, and one reply for an agent.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ...gates.machine.decision import SERVER
from ...gates.machine.independence import WORDS
from ...gates.machine.reasons import Reason, Unlock, Wanted, reason_of, reason_of_landing, wanted_reviews
from ...gates.text import number_of, shorten
from ...schemas.ids import LAND, short
from ...schemas.records import Attempt, ChangeRecord, ReviewLease, StageRecord, StageState
from ...schemas.replies import AttemptReply, NoteReply, OrphanReply, ReviewsReply, StageWhy, UnlockReply
from ..people.register import read_people
from .verdicts import attempts_left

if TYPE_CHECKING:
    from ..store.tx import Tx

ATTEMPTS_TOLD_MAX = 5
NOTES_TOLD_MAX = 3
ORPHANS_TOLD_MAX = 3
TEXT_CHARS_MAX = 240
BECAUSE_CHARS_MAX = 600
REGISTER_FIRST = "`gatewright people add NAME` first, because nobody is registered, then "


def explain(tx: "Tx", record: ChangeRecord, stage: StageRecord, now: datetime) -> StageWhy:
    """What the stage waits for, who holds it, for how long, what would unlock it, and what was tried."""
    reason = reason_of(record, stage, now)
    lease = stage.lease
    is_running_out = lease is not None and stage.state is StageState.CLAIMED
    return StageWhy(
        stage=stage.name,
        state=stage.state,
        is_claimable=reason.is_claimable,
        because=shorten(reason.because, BECAUSE_CHARS_MAX),
        since_s=_seconds(stage.since, now),
        holder=SERVER if stage.transform is not None else None if lease is None else lease.holder,
        held_s=None if lease is None else _seconds(lease.granted_at, now),
        expires_in_s=_seconds(now, lease.expires_at) if lease is not None and is_running_out else None,
        unlocks=_unlocks(tx, reason, now),
        reviews=tuple(_reviews(stage, wanted) for wanted in wanted_reviews(record, stage, now)),
        attempts_made=len(stage.attempts),
        attempts_left=attempts_left(record, stage),
        stuck=f"the same findings came back {stage.stuck} times running" if stage.stuck > 1 else None,
        attempts=tuple(_attempt(attempt) for attempt in stage.attempts[-ATTEMPTS_TOLD_MAX:]),
        notes=tuple(_note(note.source, note.text) for note in stage.notes[-NOTES_TOLD_MAX:]),
        orphans=tuple(
            OrphanReply(commit=orphan.commit, holder=orphan.holder, note=shorten(orphan.note, TEXT_CHARS_MAX))
            for orphan in stage.orphans[-ORPHANS_TOLD_MAX:]
        ),
        left_out=_left_out(stage),
    )


def explain_landing(tx: "Tx", record: ChangeRecord, now: datetime) -> StageWhy:
    """The same of the change's landing; its state is its step."""
    reason = reason_of_landing(record, now)
    return StageWhy(
        stage=LAND,
        state=str(record.landing.step) if record.landing is not None else "waiting",
        is_claimable=False,
        because=shorten(reason.because, BECAUSE_CHARS_MAX),
        since_s=None if record.landing is None else _seconds(record.landing.since, now),
        unlocks=_unlocks(tx, reason, now),
        attempts_made=record.landings,
    )


def possible(tx: "Tx", unlocks: Sequence[Unlock]) -> tuple[Unlock, ...]:
    """The same, with what has to be done first where nobody is there who could: what is told can be done."""
    if not any(unlock.is_by_secret for unlock in unlocks) or read_people(tx):
        return tuple(unlocks)
    return tuple(replace(u, how=f"{REGISTER_FIRST}{u.how}") if u.is_by_secret else u for u in unlocks)


def how_to_unlock(unlocks: Sequence[Unlock], now: datetime) -> str:
    """All of it in one sentence, people's commands behind whose they are: for the line of a status."""
    told: dict[str, list[str]] = {}
    for unlock in unlocks:
        later = f" in {_seconds(now, unlock.at)} s" if unlock.at is not None else ""
        told.setdefault(unlock.who, []).append(f"{unlock.how}{later}")
    sentences = (f"{who[0].upper()}{who[1:]}: {' or '.join(ways)}." for who, ways in told.items())
    return " ".join(sentences)


def _unlocks(tx: "Tx", reason: Reason, now: datetime) -> tuple[UnlockReply, ...]:
    return tuple(
        UnlockReply(who=unlock.who, how=unlock.how, in_s=None if unlock.at is None else _seconds(now, unlock.at))
        for unlock in possible(tx, reason.unlocks)
    )


def _reviews(stage: StageRecord, wanted: Wanted) -> ReviewsReply:
    attempt = stage.current
    assert attempt is not None, "what is reviewed is an attempt"
    judged = [f"'{review.reviewer}'" for review in attempt.reviews]
    made = [f"'{maker.holder}'" for maker in stage.makers(attempt)]
    others = ", ".join(dict.fromkeys([*made, *judged]))
    return ReviewsReply(
        gate=wanted.rule.gate,
        given=wanted.given,
        missing=wanted.missing,
        reviewing=", ".join(map(_reviewing, wanted.reviewing)) or None,
        may_review=f"any other {WORDS[wanted.rule.independence].one} than {others}",
    )


def _reviewing(lease: ReviewLease) -> str:
    return f"{lease.reviewer}{f' ({lease.model})' if lease.model else ''}"


def _attempt(attempt: Attempt) -> AttemptReply:
    again = f", judged again {number_of(attempt.error_retries, 'times')}" if attempt.error_retries else ""
    return AttemptReply(
        number=attempt.number,
        holder=attempt.holder,
        model=attempt.model,
        commit=short(attempt.commit),
        outcome=f"{attempt.state}{' (free)' if attempt.is_free else ''}{again}",
        gates=shorten(", ".join(f"{gate.gate} {gate.outcome}" for gate in attempt.gates), TEXT_CHARS_MAX),
        findings=len(attempt.fingerprints),
    )


def _note(source: str, text: str) -> NoteReply:
    return NoteReply(source=shorten(source, TEXT_CHARS_MAX), text=shorten(text, TEXT_CHARS_MAX))


def _left_out(stage: StageRecord) -> str | None:
    counts = (
        (len(stage.attempts) - ATTEMPTS_TOLD_MAX, "earlier attempts"),
        (len(stage.notes) - NOTES_TOLD_MAX, "earlier notes"),
        (len(stage.orphans) - ORPHANS_TOLD_MAX, "earlier orphans"),
    )
    return ", ".join(number_of(count, what) for count, what in counts if count > 0) or None


def _seconds(start: datetime | None, end: datetime) -> int | None:
    return None if start is None else max(0, round((end - start).total_seconds()))
