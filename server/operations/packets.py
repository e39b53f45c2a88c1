"""The revision packet: what the holder of a stage needs to do better than who was here before.

What failed comes with its findings; beside it stand what was tried, what is disputed, what another stage found wrong,
and work that lies about and may be adopted, with the words that do.
"""

import hashlib
from collections.abc import Sequence

from ...gates.artifact_store.objects import BadArtifact
from ...gates.git import GitFailed
from ...gates.remote.problems import RemoteProblem
from ...gates.text import clean_text, shorten
from ...schemas.records import Answered, Attempt, AttemptState, ChangeRecord, Note, StageRecord
from ...schemas.replies import AnswerReply, FindingReply, OrphanReply, TriedReply
from ..services import Services
from . import bases, former
from .evidence import MESSAGE_CHARS_MAX

TRIED_MAX = 5
SUMMARY_CHARS_MAX = 300
ANSWERS_MAX = 12
ORPHANS_MAX = 10
NOTE_CHARS_MAX = 240
CONFLICT = "spec conflict"
CONFLICT_RULE = "spec-conflict"
CONFLICT_CHARS_MAX = 2_000
SATISFY = "Mend what this stage hands over, or say in the summary why it stands."
ID_DIGITS = 7


def tried(stage: StageRecord) -> tuple[TriedReply, ...]:
    """The last attempts since the stage was opened afresh, the newest last."""
    attempts = [a for a in stage.attempts[stage.former :] if a.state is not AttemptState.JUDGING]
    return tuple(
        TriedReply(
            attempt=attempt.number,
            holder=attempt.holder,
            outcome=_outcome(attempt),
            stuck=former.times_running(stage, attempt),
            summary=shorten(clean_text(attempt.summary), SUMMARY_CHARS_MAX),
        )
        for attempt in attempts[-TRIED_MAX:]
    )


def told(said: Sequence[Answered]) -> tuple[AnswerReply, ...]:
    """What holders said about findings, the newest last."""
    return tuple(
        AnswerReply(
            finding=clean_text(answer.finding),
            disposition=answer.disposition,
            note=shorten(clean_text(answer.note), NOTE_CHARS_MAX),
        )
        for answer in said[-ANSWERS_MAX:]
    )


def is_finding(note: Note) -> bool:
    """Whether the note is what a stage after this one found wrong with what it was handed."""
    return note.source.startswith(CONFLICT)


def findings_of_notes(stage: StageRecord) -> tuple[FindingReply, ...]:
    """What stages after this one found wrong with what they were handed, as findings of this one."""
    return tuple(_finding(note) for note in stage.notes if is_finding(note))


def orphans(services: Services, record: ChangeRecord, stage: StageRecord, base: str) -> tuple[OrphanReply, ...]:
    """Work that may be adopted, with the words that do. Blocking: it is put where agents can see it."""
    kept = [
        OrphanReply(commit=o.commit, holder=o.holder, note=clean_text(o.note)) for o in stage.orphans[-ORPHANS_MAX:]
    ]
    known = {orphan.commit for orphan in kept}
    kept += [reply for reply in _former_artifacts(stage) if reply.commit not in known]
    starts = {attempt.commit: attempt.base for attempt in stage.attempts}
    return tuple(
        reply.model_copy(
            update={"adopt": _how_to_adopt(services, record, reply.commit, base, starts.get(reply.commit))}
        )
        for reply in kept
    )


def _outcome(attempt: Attempt) -> str:
    if attempt.state is AttemptState.SUPERSEDED:
        return "not judged to the end"
    return str(attempt.state)


def _finding(note: Note) -> FindingReply:
    mark = hashlib.sha256(f"{note.source}\0{note.text}".encode()).hexdigest()
    return FindingReply(
        id=f"f{mark[:ID_DIGITS]}",
        gate=CONFLICT_RULE,
        severity="error",
        where=note.paths[0] if note.paths else None,
        rule=CONFLICT_RULE,
        message=shorten(clean_text(f"{note.source}: {note.text}"), CONFLICT_CHARS_MAX),
        satisfy=shorten(SATISFY, MESSAGE_CHARS_MAX),
    )


def _former_artifacts(stage: StageRecord) -> list[OrphanReply]:
    """The newest artifact that had passed, and a newer one that was not judged to the end: neither is thrown away."""
    found: dict[str, OrphanReply] = {}
    notes = {
        AttemptState.PASSED: "had passed, until the stage was opened again",
        AttemptState.SUPERSEDED: "was taken back, or the stage was opened again, before it was judged to the end",
    }
    for attempt in reversed(stage.attempts):
        if attempt.state in notes:
            note = f"attempt {attempt.number} of this stage, which {notes[attempt.state]}"
            found.setdefault(attempt.commit, OrphanReply(commit=attempt.commit, holder=attempt.holder, note=note))
        if attempt.state is AttemptState.PASSED or len(found) > 1:
            break
    return list(found.values())


def _how_to_adopt(services: Services, record: ChangeRecord, commit: str, base: str, start: str | None) -> str | None:
    """What brings the commit in as it is, or its files or its change into the workspace; `start` is its own base.

    None when it is not to be had any more: that keeps nobody from working.
    """
    try:
        if services.repository.resolve(commit) is None and not services.artifacts.has(commit):
            return None
        bases.make_reachable(services, commit)
        before = services.places.how_to_adopt(services, record, commit)
    except (BadArtifact, GitFailed, RemoteProblem):
        return None
    if services.repository.is_ancestor(base, commit):
        files = f"{before}`git restore --source={commit} --staged --worktree .` puts its files in the place of yours"
        return f'submit_artifact(commit="{commit}") hands it in as it is; {files}'
    change = f"{start} {commit}" if start is not None else f"HEAD...{commit}"
    apply = f"`git diff --binary {change} | git apply --3way`"
    return f"it was made on another base: {before}{apply} applies its change to yours"
