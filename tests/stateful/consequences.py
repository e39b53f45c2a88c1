"""What follows from a verdict, a release or a person's word: which stages open, close, go back or wait for people."""

from dataclasses import replace

from .reviewing import LEASE_S, Reviewing
from .things import CODE, NEEDS, PLAN, Stage, Try

STUCK_MAX = 3
BUDGETS = {PLAN: 4, CODE: 2}
REOPENS = {PLAN: 1, CODE: 2}
OTHERWISE = {PLAN: None, CODE: PLAN}


class Consequences(Reviewing):
    """The part of a change that nobody asks for by name."""

    evaluations: int
    landing: str | None

    def _release_judged(self, stage: Stage, because: str) -> str | None:
        assert stage.lease is not None
        if because == "withdraw":
            stage.tries[-1].state = "superseded"
            stage.tries[-1].seats.clear()
            stage.state = "claimed"
            stage.lease.until = self.now + LEASE_S
        elif because == "done_for_now":
            stage.lease = None
        else:
            return f"stage_{stage.state}"
        return None

    def _pass(self, stage: Stage) -> None:
        stage.tries[-1].state = "passed"
        stage.tries[-1].seats.clear()
        stage.state, stage.lease, stage.accepted = "passed", None, len(stage.tries)
        stage.failed = stage.stuck = 0
        for other in self.stages.values():
            if other.state == "waiting" and all(self.stages[n].state == "passed" for n in NEEDS[other.name]):
                other.state = "open" if other.question is None else "escalated"
        if self.stages[CODE].state == "passed":
            self.landing = "preparing"
            self._evaluation()

    def _fail(self, stage: Stage, mark: str) -> None:
        before, current = stage.failures(), stage.tries[-1]
        stage.stuck = stage.stuck + 1 if before and before[-1].mark == mark else 1
        current.state, current.mark = "failed", mark
        current.seats.clear()
        stage.failed += not current.is_free
        stage.state = "open" if stage.lease is None else "claimed"
        if stage.lease is not None:
            stage.lease.until = self.now + LEASE_S
        if stage.stuck < STUCK_MAX and stage.failed < BUDGETS[stage.name] + stage.granted:
            return
        upstream = OTHERWISE[stage.name]
        if upstream is None:
            self._escalate(stage.name, "budget")
        else:
            self._reopen_by_itself(upstream)

    def _reopen_by_itself(self, name: str) -> None:
        if self.stages[name].reopened >= REOPENS[name]:
            self._escalate(name, "reopens_spent")
            return
        self.stages[name].reopened += 1
        self._reopen(name)

    def _reopen(self, name: str) -> None:
        stage = self.stages[name]
        stage.afresh()
        stage.state, stage.question, stage.disputed, self.landing = "open", None, None, None
        self._close_after(name)

    def _judge_again(self, stage: Stage, former: Try) -> None:
        again = replace(
            former,
            evaluation=self._evaluation(),
            state="judging",
            mark=None,
            errors=0,
            is_free=True,
            is_asked=False,
            is_reviewed=False,
            seats=[],
        )
        stage.tries.append(again)
        stage.state, stage.question, stage.disputed = "evaluating", None, None

    def _escalate(self, name: str, cause: str, disputed: Try | None = None) -> None:
        stage = self.stages[name]
        stage.disputed = disputed
        if stage.tries and stage.tries[-1].state == "judging":
            stage.tries[-1].state = "superseded"
        stage.state, stage.lease, stage.accepted, stage.question = "escalated", None, None, cause
        self.landing = None
        self._close_after(name)

    def _close_after(self, name: str) -> None:
        for other in self.stages.values():
            if name in NEEDS[other.name] and other.state != "waiting":
                kept = other.question == "needs_decision"
                other.afresh()
                other.state = "waiting"
                other.question, other.disputed = (other.question, other.disputed) if kept else (None, None)

    def _keep_late(self, name: str, fence: int, content: int) -> None:
        """Who held the stage stays the maker of what comes too late, whoever hands it in again."""
        stage = self.stages[name]
        is_held = stage.lease is not None and stage.lease.fence == fence
        is_repeated = stage.state == "passed" and stage.fence == fence
        if not is_held and not is_repeated and stage.state != "waiting":
            stage.late.add((self._tree(name, content), stage.holders[fence]))

    def _tree(self, name: str, content: int) -> tuple[int, ...]:
        needs = (self.stages[need] for need in NEEDS[name])
        return (*(need.tries[need.accepted - 1].content for need in needs if need.accepted is not None), content)

    def _inputs(self, name: str) -> tuple[str, ...]:
        needs = (self.stages[need] for need in NEEDS[name])
        return tuple(need.tries[need.accepted - 1].commit for need in needs if need.accepted is not None)

    def _evaluation(self) -> str:
        self.evaluations += 1
        return f"e{self.evaluations}"
