"""Any sequence of calls does what the model beside it says, and is refused by the code that stands first.

Two clients, one of each generation of the protocol, and a person at the command line, against one store.
"""

from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
)

from gatewright.gates.machine import commands as c
from gatewright.schemas.ids import format_lease, parse_lease
from gatewright.schemas.records import GateOutcome, Outcome

from .acting import AGENTS, Acting
from .things import CODE, MARKS, PLAN

STAGES = st.sampled_from([PLAN, CODE])
ANY_STAGE = st.sampled_from([PLAN, CODE, "nowhere"])
CONTENTS = st.integers(0, 3)
EXITS = st.sampled_from(["done_for_now", "withdraw", "cannot", "spec_conflict", "needs_decision"])
OUTCOMES = st.sampled_from(["passed", "passed", "failed", "failed", "errored", "pending"])
SAYS = st.sampled_from(["", "fixed", "disputed"])
ON_THE_WAY = ("open", "claimed", "evaluating", "in_review")
PASSED = GateOutcome("ok", Outcome.PASSED)


class Protocol(Acting):
    """One change of the world's store, from start to wherever the rules lead."""

    # Agents

    @rule(
        agent=AGENTS, contents=st.lists(CONTENTS, min_size=1, max_size=8), outcome=OUTCOMES, mark=st.sampled_from(MARKS)
    )
    def go_on(self, agent: str, contents: list[int], outcome: str, mark: str) -> None:
        """Some steps of what leads somewhere, without which most sequences end where they began."""
        for content in contents:
            self.step(agent, content, outcome if content > 1 else "passed", mark, objects=content == 2)

    @rule(agent=AGENTS, mark=st.sampled_from(MARKS))
    def make_no_progress(self, agent: str, mark: str) -> None:
        """Until somebody must decide, or a stage before it opens again."""
        for number in range(7):
            self.step(agent, number // 2, "failed", mark, objects=True)

    def step(self, agent: str, content: int, outcome: str, mark: str, *, objects: bool) -> None:
        """What comes next for the last stage that something can be done about."""
        stage = next((s for s in reversed(self.model.stages.values()) if s.state in ON_THE_WAY), None)
        if stage is None or self.model.change != "active":
            return
        if stage.state == "in_review" and stage.tries[-1].seats:
            held = next(x for x in reversed(self.reviews) if x.fence == stage.tries[-1].seats[-1].number)
            self.do_review(stage.tries[-1].seats[-1].reviewer, held, objects=objects, is_empty=False, keyed=False)
        elif stage.state == "in_review":
            self.do_claim("bob" if stage.tries[-1].author == "ada" else "ada", stage.name, keyed=False)
        elif stage.state == "evaluating":
            self.do_judge(stage.name, outcome, mark)
        elif stage.state == "claimed" and stage.lease is not None and self.model.now < stage.lease.until:
            newest = next(held for held in reversed(self.leases) if held.stage == stage.name)
            self.do_submit(agent, newest, content, says="" if content == 1 else "fixed", keyed=False)
        else:
            self.do_claim(agent, stage.name, keyed=True)

    @rule(agent=AGENTS, stage=ANY_STAGE, keyed=st.booleans())
    def claim(self, agent: str, stage: str, *, keyed: bool) -> None:
        self.do_claim(agent, stage, keyed=keyed)

    @rule(agent=AGENTS)
    def claim_whatever_is_open(self, agent: str) -> None:
        expected = self.model.over(PLAN)
        free = self.model.claimable(agent)
        brief = self.call(agent, "claim_stage", expected, False, agent=agent, change=self.change)
        if expected is not None:
            return
        if brief["kind"] == "none":
            assert not free, free
        else:
            assert self.model.claim(brief["stage"], agent) is None
            self.take(agent, brief)

    @precondition(lambda self: self.leases)
    @rule(agent=AGENTS, data=st.data(), content=CONTENTS, says=SAYS, keyed=st.booleans())
    def submit(self, agent: str, data: st.DataObject, content: int, *, says: str, keyed: bool) -> None:
        """By whoever has the lease, the newest or a former one."""
        self.do_submit(agent, self.any_lease(data), content, says=says, keyed=keyed)

    @precondition(lambda self: self.leases)
    @rule(agent=AGENTS, data=st.data())
    def renew(self, agent: str, data: st.DataObject) -> None:
        held = self.any_lease(data)
        self.call(agent, "renew_lease", self.model.renew(held.stage, held.fence), False, lease=held.token)

    @precondition(lambda self: self.leases)
    @rule(agent=AGENTS, data=st.data(), because=EXITS, upstream=STAGES, keyed=st.booleans())
    def release(self, agent: str, data: st.DataObject, because: str, upstream: str, *, keyed: bool) -> None:
        held = self.any_lease(data)
        named = upstream if because == "spec_conflict" else None
        expected = self.model.release(held.stage, held.fence, because, named)
        given = {"lease": held.token, "because": because, "reason": "It is so."}
        told = self.call(agent, "release_stage", expected, keyed, **given, stage=named)
        if expected is None:
            assert told["stage_state"] == self.model.stages[held.stage].state

    @precondition(lambda self: self.reviews)
    @rule(
        agent=AGENTS,
        data=st.data(),
        objects=st.booleans(),
        is_empty=st.sampled_from([False, False, True]),
        keyed=st.booleans(),
    )
    def review(self, agent: str, data: st.DataObject, *, objects: bool, is_empty: bool, keyed: bool) -> None:
        held = self.any_of(self.reviews, data)
        self.do_review(agent, held, objects=objects, is_empty=is_empty, keyed=keyed)

    @precondition(lambda self: self.reviews)
    @rule(agent=AGENTS, data=st.data(), because=EXITS)
    def let_a_review_go(self, agent: str, data: st.DataObject, because: str) -> None:
        held = self.any_of(self.reviews, data)
        expected = self.model.release_review(held.stage, held.fence, because)
        self.call(agent, "release_stage", expected, False, lease=held.token, because=because, reason="It is so.")

    @precondition(lambda self: self.reviews)
    @rule(agent=AGENTS, data=st.data())
    def go_on_reviewing(self, agent: str, data: st.DataObject) -> None:
        """Or take what only the holder of a stage may do for it."""
        held = self.any_of(self.reviews, data)
        self.call(agent, "renew_lease", self.model.renew_review(held.stage, held.fence), False, lease=held.token)
        self.model.renew_review(held.stage, held.fence)
        self.call(agent, "submit_artifact", "not_allowed", False, lease=held.token, summary="Mine.", files={"a": "b"})

    @precondition(lambda self: self.leases)
    @rule(agent=AGENTS, data=st.data())
    def forge(self, agent: str, data: st.DataObject) -> None:
        """A lease of a fence that was never given, with the proof of another."""
        held = self.any_lease(data)
        name = parse_lease(held.token)
        assert name is not None
        token = format_lease(name.change, name.stage, held.fence + 1, name.proof)
        self.call(agent, "renew_lease", "unknown_lease", False, lease=token)
        self.call(agent, "submit_artifact", "unknown_lease", True, lease=token, summary="Mine.", files={"a": "b"})

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Invariant I8: the same call again has no other effect, and is no refusal."""
        kept = data.draw(st.sampled_from(self.kept))
        told = self.world.call(kept.agent, kept.tool, **kept.given)
        assert not told.is_refused, told.text

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def use_a_key_twice(self, data: st.DataObject) -> None:
        kept = data.draw(st.sampled_from(self.kept))
        told = self.world.call(kept.agent, "start_change", title="Other", intent="Other.", key=kept.given["key"])
        assert told.code == "idempotency_conflict"

    # The evaluator

    @rule(stage=STAGES, outcome=OUTCOMES, mark=st.sampled_from(MARKS))
    def judge(self, stage: str, outcome: str, mark: str) -> None:
        if self.model.stages[stage].live() is not None and self.model.change == "active":
            self.do_judge(stage, outcome, mark)

    @rule(stage=STAGES, number=st.integers(1, 12))
    def tell_a_result_late(self, stage: str, number: int) -> None:
        """Invariant I3: of any evaluation but the live one, whatever became of it."""
        if self.model.stages[stage].live() == f"e{number}":
            return
        before = self.world.record(self.change)
        gates = (GateOutcome("scope", Outcome.PASSED), PASSED)
        self.world.decide(self.change, c.Settle(stage, f"{self.change}.e{number}", gates))
        assert self.world.record(self.change) == before

    @precondition(lambda self: self.model.landing == "preparing")
    @rule()
    def land(self) -> None:
        landing = self.world.record(self.change).landing
        assert landing is not None
        gates = (GateOutcome("scope", Outcome.PASSED), PASSED)
        self.world.decide(self.change, c.SettleLanding(landing.evaluation, "old", "new", "tree", gates))
        self.model.settle_landing()

    @precondition(lambda self: self.model.landing == "intended")
    @rule()
    def confirm_landing(self) -> None:
        landing = self.world.record(self.change).landing
        assert landing is not None
        self.world.decide(self.change, c.ConfirmLanding(landing.number))
        self.model.confirm_landing()

    # People

    @precondition(lambda self: self.model.has("passed", "escalated"))
    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        stage, typed = self.likely(data, "passed", "escalated"), f"{self.change}\n"
        self.at_terminal("reopen", self.model.reopen, stage, "--reason", "Wrong.", typed=typed)

    @precondition(lambda self: self.model.has("escalated"))
    @rule(data=st.data())
    def retry_gates(self, data: st.DataObject) -> None:
        stage = self.likely(data, "escalated")
        self.at_terminal("retry-gates", self.model.retry, stage, typed="y\n")

    @precondition(lambda self: self.model.has("escalated"))
    @rule(data=st.data(), count=st.integers(1, 2))
    def grant(self, data: st.DataObject, count: int) -> None:
        stage = self.likely(data, "escalated")
        self.at_terminal(
            "grant-attempts", lambda s: self.model.grant(s, count), stage, str(count), typed=f"{self.change}\n"
        )

    @precondition(lambda self: self.model.has("escalated", "in_review"))
    @rule(data=st.data(), allowed=st.booleans())
    def answer(self, data: st.DataObject, *, allowed: bool) -> None:
        stage = self.likely(data, "escalated", "in_review")
        decision = "--allow" if allowed else "--refuse"
        self.at_terminal(
            "answer",
            lambda s: self.model.answer(s, allowed=allowed),
            stage,
            decision,
            "--note",
            "So it is.",
            typed=f"{stage}\n",
        )

    @precondition(lambda self: self.model.evaluations > 6)
    @rule()
    def cancel(self) -> None:
        told = self.world.at_terminal("cancel", self.change, "--reason", "Enough.", typed="y\n")
        assert told == self.model.cancel()

    # Time

    @rule(seconds=st.sampled_from([60, 899, 900, 1200]))
    def wait(self, seconds: int) -> None:
        self.model.now += seconds
        self.world.clock.advance(seconds)
