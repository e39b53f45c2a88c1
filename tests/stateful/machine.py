"""Any sequence of calls does what the model beside it says, and is refused by the code that stands first.

Two clients, one of each generation of the protocol, and a person at the command line, against one store.
"""

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
    run_state_machine_as_test,
)

from gatewright.gates.machine import commands as c
from gatewright.schemas.records import GateOutcome, Outcome

from .acting import AGENTS, PASSED, Acting
from .things import CODE, MARKS, PLAN
from .world import World

STAGES = st.sampled_from([PLAN, CODE])
ANY_STAGE = st.sampled_from([PLAN, CODE, "nowhere"])
CONTENTS = st.integers(0, 3)
EXITS = st.sampled_from(["done_for_now", "withdraw", "cannot", "spec_conflict", "needs_decision"])
OUTCOMES = st.sampled_from(["passed", "passed", "failed", "failed", "errored", "pending"])
SAYS = st.sampled_from(["", "fixed", "disputed"])
ON_THE_WAY = ("open", "claimed", "evaluating", "in_review")


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
        self.do_renew(agent, self.any_lease(data))

    @precondition(lambda self: self.leases)
    @rule(agent=AGENTS, data=st.data(), because=EXITS, upstream=STAGES, keyed=st.booleans())
    def release(self, agent: str, data: st.DataObject, because: str, upstream: str, *, keyed: bool) -> None:
        self.do_release(agent, self.any_lease(data), because, upstream, keyed=keyed)

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
        self.do_let_go(agent, self.any_of(self.reviews, data), because)

    @precondition(lambda self: self.reviews)
    @rule(agent=AGENTS, data=st.data())
    def go_on_reviewing(self, agent: str, data: st.DataObject) -> None:
        self.do_go_on_reviewing(agent, self.any_of(self.reviews, data))

    @precondition(lambda self: self.leases)
    @rule(agent=AGENTS, data=st.data())
    def forge(self, agent: str, data: st.DataObject) -> None:
        self.do_forge(agent, self.any_lease(data))

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.do_repeat(data.draw(st.sampled_from(self.kept)))

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def use_a_key_twice(self, data: st.DataObject) -> None:
        self.do_use_key_again(data.draw(st.sampled_from(self.kept)))

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
        self.do_land()

    @precondition(lambda self: self.model.landing == "intended")
    @rule()
    def confirm_landing(self) -> None:
        self.do_confirm_landing()

    # People

    @precondition(lambda self: self.model.has("passed", "escalated"))
    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        self.do_reopen(self.likely(data, "passed", "escalated"))

    @precondition(lambda self: self.model.has("escalated"))
    @rule(data=st.data())
    def retry_gates(self, data: st.DataObject) -> None:
        self.do_retry_gates(self.likely(data, "escalated"))

    @precondition(lambda self: self.model.has("escalated"))
    @rule(data=st.data(), count=st.integers(1, 2))
    def grant(self, data: st.DataObject, count: int) -> None:
        self.do_grant(self.likely(data, "escalated"), count)

    @precondition(lambda self: self.model.has("escalated", "in_review"))
    @rule(data=st.data(), allowed=st.booleans())
    def answer(self, data: st.DataObject, *, allowed: bool) -> None:
        self.do_answer(self.likely(data, "escalated", "in_review"), allowed=allowed)

    @precondition(lambda self: self.model.evaluations > 6)
    @rule()
    def cancel(self) -> None:
        self.do_cancel()

    # Time

    @rule(seconds=st.sampled_from([60, 899, 900, 1200]))
    def wait(self, seconds: int) -> None:
        self.do_wait(seconds)


def search(world: World, *, examples: int, steps: int, seeded: str | None) -> None:
    """Try `examples` sequences of at most `steps` rules; the same ones whenever `seeded` is the same, others without.

    Raises what an invariant, a rule or the product raises, after a shorter sequence with the same end was looked for.
    """
    machine = type("ProtocolInWorld", (Protocol,), {"world": world})
    if seeded is not None:
        machine = seed(seeded)(machine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            database=None,
        ),
    )
