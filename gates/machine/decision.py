"""A decision in the making.

Events so far and the record they lead to, with the consequences that several commands share.
"""

from datetime import datetime, timedelta

from ...schemas import events as e
from ...schemas.records import (
    Attempt,
    Cause,
    ChangeRecord,
    Dispute,
    Escalation,
    GateOutcome,
    Note,
    StageRecord,
    StageState,
)
from .. import graph
from .evolve import evolve
from .stage_steps import has_kept_question

SERVER = "server"
LANDING_FAILURES_MAX = 5
# An outage may say something else every time it is asked.
LANDING_DELAYS_MAX = 20


class Decision:
    """Collects events.

    `record` is always the record after them, so that consequences are decided on what will be true.
    """

    def __init__(self, record: ChangeRecord, now: datetime) -> None:
        self.record = record
        self.now = now
        self._events: list[e.Event] = []

    @property
    def events(self) -> tuple[e.Event, ...]:
        """All that was decided so far, in order."""
        return tuple(self._events)

    def add(self, event: e.Event) -> None:
        """Decide `event`."""
        self._events.append(event)
        self.record = evolve(self.record, event)

    def lease_end(self) -> datetime:
        """When a lease given or renewed now expires."""
        return self.now + timedelta(seconds=self.record.plan.lease_s)

    def next_evaluation(self) -> str:
        """The id of the change's next evaluation."""
        return f"{self.record.id}.e{self.record.evaluations + 1}"

    def needs(self) -> dict[str, tuple[str, ...]]:
        """The pipeline's graph: stage name to the names it needs."""
        return {rule.name: rule.needs for rule in self.record.plan.stages}

    def open_ready(self) -> None:
        """Open every waiting stage whose needs have all passed, and start landing when nothing is left to do.

        The one rule by which stages open (invariant I1): never by assignment.
        """
        for rule in self.record.plan.stages:
            stage = self.record.stage(rule.name)
            ready = all(self.record.stage(need).state is StageState.PASSED for need in rule.needs)
            if stage.state is not StageState.WAITING or not ready:
                continue
            if rule.is_transform and not has_kept_question(stage):
                self.start_run(rule.name)
            else:
                self.add(e.StageOpened(self.now, rule.name))
                self._judge_carried(rule.name)
        self.start_landing()

    def start_run(self, name: str, by: str | None = None) -> None:
        """Have the server make the artifact of a `run:` stage, as a person asked or because it is its turn."""
        self.add(e.TransformStarted(self.now, name, self.next_evaluation(), by))

    def start_landing(self) -> None:
        """Begin a landing when every stage that it needs has passed and none is under way."""
        passed = all(self.record.stage(need).state is StageState.PASSED for need in self.record.plan.land_needs)
        if passed and self.record.landing is None:
            self.add(e.LandingStarted(self.now, self.record.landings + 1, self.next_evaluation()))

    def abandon_landing(self, because: str) -> None:
        """Give up a landing that has not reached its intent."""
        if self.record.landing is not None:
            self.add(e.LandingAbandoned(self.now, self.record.landing.number, because))

    def escalate(
        self,
        name: str,
        cause: Cause,
        question: str,
        *,
        gates: tuple[GateOutcome, ...] = (),
        dispute: Dispute | None = None,
        about: Note | None = None,
    ) -> None:
        """Hand the stage to people; its consumers, if any had started, go back to waiting.

        `gates` are the outcomes of the attempt that is given up by it; `about` is what led to the question.
        """
        self.abandon_landing(f"'{name}' was escalated")
        paths, target = (about.paths, about.target) if about is not None else ((), None)
        escalation = Escalation(cause, question, self.now, dispute, paths, target)
        self.add(e.StageEscalated(self.now, name, escalation, gates))
        self._close_consumers(name, f"'{name}' was escalated")

    def reopen(self, name: str, by: str, note: Note, *, is_automatic: bool = False) -> None:
        """Open a passed or escalated stage again; every consumer of its artifact goes back to waiting (rule 12).

        A stage that the server runs is run again.
        """
        self.abandon_landing(f"'{name}' was reopened")
        self.add(e.StageReopened(self.now, name, by, note, is_automatic))
        self._close_consumers(name, f"'{name}' was reopened: {note.text}")
        if self.record.rule(name).is_transform:
            self.open_ready()

    def reopen_automatically(self, name: str, note: Note) -> None:
        """`reopen` by the server, within the stage's own bound; beyond it people decide (invariant I10)."""
        if self.record.stage(name).reopened < self.record.rule(name).reopens:
            self.reopen(name, SERVER, note, is_automatic=True)
        else:
            question = f"{note.source}: {note.text} (reopened as often as the pipeline allows)"
            self.escalate(name, Cause.REOPENS_SPENT, question, about=note)

    def find_author(self, name: str) -> str | None:
        """The stage whose agent can change what the named one hands over: itself, or the latest before a `run:` stage.

        None when agents have no part in it.
        """
        sources = {name} if not self.record.rule(name).is_transform else graph.upstream(name, self.needs())
        agents = [rule.name for rule in self.record.plan.stages if rule.name in sources and not rule.is_transform]
        return agents[-1] if agents else None

    def _close_consumers(self, name: str, because: str) -> None:
        consumers = graph.consumers(name, self.needs())
        for rule in self.record.plan.stages:
            if rule.name in consumers and self.record.stage(rule.name).state is not StageState.WAITING:
                self.add(e.StageClosed(self.now, rule.name, because))

    def _judge_carried(self, name: str) -> None:
        stage = self.record.stage(name)
        if stage.state is not StageState.OPEN or stage.carried is None:
            return
        if self.is_current(stage.name, stage.attempts[stage.carried - 1]):
            self.resubmit(stage, stage.carried, "judged again after a change of policy")

    def is_current(self, name: str, attempt: Attempt) -> bool:
        """Whether the attempt was made from what the stage's needs hand over now (I1, I7)."""
        return attempt.inputs == self.record.inputs_of(name)

    def resubmit(self, stage: StageRecord, number: int, summary: str) -> None:
        """Judge a former artifact of the stage once more, free of charge."""
        former = stage.attempts[number - 1]
        self.add(
            e.ArtifactSubmitted(
                at=self.now,
                stage=stage.name,
                attempt=len(stage.attempts) + 1,
                commit=former.commit,
                tree=former.tree,
                base=former.base,
                summary=summary,
                holder=former.holder,
                principal=former.principal,
                evaluation=self.next_evaluation(),
                is_free=True,
                answers=former.answers,
                model=former.model,
                adopted=former.adopted,
                stage_base=former.stage_base,
            )
        )
