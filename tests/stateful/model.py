"""The protocol once more, by other hands: what every call should do to a change, and what it should be refused with.

Written from docs/protocol.md with mutable values and plain `if`s, and shares no code with what it is compared with. Two
stages: `plan`, and `code`, which needs it, is reviewed by one other agent and, when its budget is spent, has the server
reopen `plan`.
"""

from copy import deepcopy

from .consequences import Consequences
from .reviewing import LEASE_S, OBJECTION
from .things import MARKS, NEEDS, PLAN, Lease, Stage, Try

ERROR_RETRIES_MAX = 2


class Model(Consequences):
    """One change. Every method returns the code of the refusal, or None when the call has its effect."""

    def __init__(self) -> None:
        self.now = 0.0
        self.change = "active"
        self.evaluations = 0
        self.landing: str | None = None
        self.stages = {name: Stage(name) for name in NEEDS}
        self.stages[PLAN].state = "open"

    # What agents call

    def claim(self, name: str, holder: str) -> str | None:
        if refusal := self.over(name):
            return refusal
        stage = self.stages[name]
        if stage.state == "in_review":
            return self._claim_review(stage, holder)
        if stage.state == "claimed" and stage.lease is not None and self.now < stage.lease.until:
            return "lease_held"
        if stage.state not in {"open", "claimed"}:
            return f"stage_{stage.state}"
        stage.fence += 1
        stage.state = "claimed"
        stage.lease = Lease(stage.fence, holder, self.now + LEASE_S)
        stage.holders[stage.fence] = holder
        return None

    def has(self, *states: str) -> bool:
        """Whether a stage is in one of these states and the change goes on."""
        return self.change == "active" and any(stage.state in states for stage in self.stages.values())

    def claimable(self, who: str) -> list[str]:
        """What one may take that it does not have."""
        mine = [s.name for s in self.stages.values() if s.tries and any(x.reviewer == who for x in s.tries[-1].seats)]
        return [name for name in self.stages if name not in mine and deepcopy(self).claim(name, who) is None]

    def renew(self, name: str, fence: int) -> str | None:
        if refusal := self.over(name):
            return refusal
        stage = self.stages[name]
        if stage.lease is None or stage.lease.fence != fence:
            return self._not_held(stage)
        if stage.state == "claimed":
            stage.lease.until = self.now + LEASE_S
        return None

    def submit(self, name: str, fence: int, content: int, *, says: str) -> str | None:
        """`says` of every finding of the last failed attempt: `fixed`, `disputed`, or nothing about any."""
        if refusal := self.over(name):
            return refusal
        if refusal := self._not_claimed(name, fence):
            self._keep_late(name, fence, content)
            return refusal
        stage = self.stages[name]
        assert stage.lease is not None
        failures = stage.failures()
        last = failures[-1] if failures else None
        is_found = last is not None and last.mark in {*MARKS, OBJECTION}
        marks = frozenset([str(last.mark)] if says == "disputed" and last is not None and is_found else [])
        same = [x for x in failures if x.content == content]
        if same and not (same[-1] is last and marks):
            stage.lease.until = self.now + LEASE_S
            return "unchanged_artifact"
        if last is not None and last.mark == OBJECTION and not says:
            stage.lease.until = self.now + LEASE_S
            return "findings_unanswered"
        if same and last is not None and last.mark in MARKS:
            self._escalate(name, "needs_decision", disputed=last)
            return None
        tree = self._tree(name, content)
        stage.tries.append(Try(content, self._evaluation(), self._inputs(name), tree, disputes=marks))
        stage.tries[-1].author = stage.lease.holder
        stage.tries[-1].adopted = frozenset(maker for late, maker in stage.late if late == tree)
        stage.state = "evaluating"
        return None

    def release(self, name: str, fence: int, because: str, upstream: str | None) -> str | None:
        if refusal := self.over(name):
            return refusal
        stage = self.stages[name]
        is_holder = stage.lease is not None and stage.lease.fence == fence
        if stage.state in {"evaluating", "in_review"} and is_holder:
            return self._release_judged(stage, because)
        if refusal := self._not_claimed(name, fence):
            return refusal
        assert stage.lease is not None
        if because == "needs_decision":
            self._escalate(name, "needs_decision")
        elif because == "spec_conflict":
            if upstream not in NEEDS[name]:
                stage.lease.until = self.now + LEASE_S
                return "bad_argument"
            self._reopen_by_itself(str(upstream))
        else:
            stage.lease, stage.state = None, "open"
        return None

    # What the evaluator tells

    def settle(self, name: str, outcome: str, mark: str) -> None:
        """The result of the live evaluation."""
        stage = self.stages[name]
        current = stage.tries[-1]
        if outcome in {"passed", "pending"}:
            stage.state = "in_review"
            current.is_asked = outcome == "pending"
            self._pass_if_answered(stage)
        elif outcome == "failed" and mark in stage.said():
            self._escalate(name, "needs_decision", disputed=current)
        elif outcome == "failed":
            self._fail(stage, mark)
        elif current.errors < ERROR_RETRIES_MAX:
            current.errors += 1
            current.evaluation = self._evaluation()
        else:
            self._escalate(name, "gate_broken")

    def settle_landing(self) -> None:
        self.landing, self.change = "intended", "landing"

    def confirm_landing(self) -> None:
        self.landing, self.change = "landed", "landed"

    # What people do

    def answer(self, name: str, *, allowed: bool) -> str | None:
        if refusal := self.over(name):
            return refusal
        stage = self.stages[name]
        if stage.state == "escalated":
            disputed = stage.disputed
            stage.afresh()
            stage.state, stage.question, stage.disputed = "open", None, None
            if disputed is not None and allowed and disputed.inputs == self._inputs(name):
                self._judge_again(stage, disputed)
        elif stage.state != "in_review" or not stage.tries[-1].is_asked:
            return "bad_argument"
        elif allowed:
            stage.tries[-1].is_asked = False
            self._pass_if_answered(stage)
        else:
            self._fail(stage, "refused")
        return None

    def retry(self, name: str) -> str | None:
        if refusal := self.over(name):
            return refusal
        stage = self.stages[name]
        if stage.state != "escalated" or not stage.tries or stage.tries[-1].inputs != self._inputs(name):
            return "bad_argument"
        self._judge_again(stage, stage.tries[-1])
        return None

    def grant(self, name: str, count: int) -> str | None:
        if refusal := self.over(name):
            return refusal
        stage = self.stages[name]
        if stage.state != "escalated":
            return "bad_argument"
        stage.granted += count
        stage.stuck = 0
        stage.state, stage.question, stage.disputed = "open", None, None
        return None

    def reopen(self, name: str) -> str | None:
        if refusal := self.over(name):
            return refusal
        if self.stages[name].state not in {"passed", "escalated"}:
            return "bad_argument"
        self._reopen(name)
        return None

    def cancel(self) -> str | None:
        if refusal := self.over(PLAN):
            return refusal
        self.change, self.landing = "cancelled", None
        for stage in self.stages.values():
            stage.afresh()
        return None

    # Refusals that many share

    def over(self, name: str) -> str | None:
        if self.change in {"landed", "cancelled"}:
            return "change_over"
        if self.change == "landing":
            return "change_landing"
        return None if name in self.stages else "unknown_stage"

    def _not_claimed(self, name: str, fence: int) -> str | None:
        stage = self.stages[name]
        if stage.state == "claimed" and stage.lease is not None and stage.lease.fence == fence:
            return None
        return self._not_held(stage)

    def _not_held(self, stage: Stage) -> str:
        return "lease_lost" if stage.state in {"open", "claimed"} else f"stage_{stage.state}"
