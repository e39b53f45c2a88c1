"""What is told about the stages that the server runs itself, before there is an attempt to tell about."""

from ...schemas.records import Attempt, ChangeRecord, Outcome, StageRecord
from ...schemas.replies import Verdict
from ..store import EvaluationRow, EvaluationState


def find_attempt(stage: StageRecord, row: EvaluationRow) -> Attempt | None:
    """The attempt that came of a run; None while there is none.

    After an error it is run again: whoever waits for the first run waits for the last of the same start.
    """
    made = next((attempt for attempt in stage.attempts if attempt.evaluation == row.id), None)
    if made is None or made.outcome is not Outcome.ERRORED:
        return made
    if stage.transform is not None and stage.fence == made.fence:
        return None
    return [attempt for attempt in stage.attempts if attempt.fence == made.fence][-1]


def verdict_before_attempt(record: ChangeRecord, stage: StageRecord, row: EvaluationRow) -> Verdict:
    """The verdict of a run that has made nothing yet, or that nobody waits for any more."""
    is_over = row.state is EvaluationState.CANCELLED or stage.transform is None
    where = f"'{stage.name}' of {record.id}"
    again = " again: a gate could not judge" if stage.transform not in {None, row.id} or row.tries > 1 else ""
    return Verdict(
        state="settled" if is_over else "running",
        outcome="errored" if is_over else None,
        summary=(
            f"No verdict: the run of {where} was ended, because a stage before it was reopened or the change is over."
            if is_over
            else f"The server runs {where}{again}."
        ),
        evaluation=row.id,
        change=record.id,
        stage=stage.name,
        attempt=None,
        commit="",
        dry_run=False,
        stage_state=stage.state,
        attempts_left=0,
        next=(
            f'get_status(change="{record.id}") tells where it stands now.'
            if is_over
            else f'wait_for_update(evaluation="{row.id}") brings the verdict.'
        ),
    )


def is_next(record: ChangeRecord, stage: StageRecord) -> bool:
    """Whether only the server goes on from a stage that has passed."""
    after = [rule for rule in record.plan.stages if stage.name in rule.needs]
    return bool(after) and all(rule.is_transform for rule in after)
