"""Any sequence of calls does what the model beside it says, and is refused by the code that stands first.

Two clients, one of each generation of the protocol, and a person at the command line, against one store.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gatewright.gates import commands as c
from gatewright.gates.evolve import replay
from gatewright.schemas.ids import format_lease, parse_lease
from gatewright.schemas.records import AttemptState, GateOutcome, Outcome

from .model import CODE, MARKS, OBJECTION, PLAN, Model
from .world import World, a_world, finding_of

STAGES = st.sampled_from([PLAN, CODE])
ANY_STAGE = st.sampled_from([PLAN, CODE, "nowhere"])
AGENTS = st.sampled_from(["ada", "bob"])
CONTENTS = st.integers(0, 3)
EXITS = st.sampled_from(["done_for_now", "withdraw", "cannot", "spec_conflict", "needs_decision"])
OUTCOMES = st.sampled_from(["passed", "passed", "failed", "failed", "errored", "pending"])
SAYS = st.sampled_from(["", "fixed", "disputed"])
ON_THE_WAY = ("open", "claimed", "evaluating", "in_review")
EVENTS_MAX = 1_000
PASSED = GateOutcome("ok", Outcome.PASSED)


@dataclass(frozen=True)
class Kept:
    """A call with a key that had its effect."""

    agent: str
    tool: str
    given: dict[str, Any]


@dataclass(frozen=True)
class Held:
    """A lease that was given once; `fence` is the number of one of a review."""

    token: str
    stage: str
    fence: int


class Protocol(RuleBasedStateMachine):
    """One change of the world's store, from start to wherever the rules lead."""

    world: World

    @initialize(agent=AGENTS)
    def start(self, agent: str) -> None:
        self.model = Model()
        self.began = self.world.clock()
        self.leases: list[Held] = []
        self.reviews: list[Held] = []
        self.kept: list[Kept] = []
        self.keys = 0
        self.change = str(self.world.call(agent, "start_change", title="Work", intent="Work.")["change"])

    def teardown(self) -> None:
        if self.model.change == "active":
            self.world.decide(self.change, c.Cancel("person:eve", "The story is over."))

    # Agents

    @rule(
        agent=AGENTS, contents=st.lists(CONTENTS, min_size=1, max_size=8), outcome=OUTCOMES, mark=st.sampled_from(MARKS)
    )
    def go_on(self, agent: str, contents: list[int], outcome: str, mark: str) -> None:
        """Some steps of what leads somewhere, without which most sequences end where they began."""
        for content in contents:
            stage = next((s for s in reversed(self.model.stages.values()) if s.state in ON_THE_WAY), None)
            if stage is None or self.model.change != "active":
                return
            if stage.state == "in_review" and stage.tries[-1].seats:
                held = next(x for x in reversed(self.reviews) if x.fence == stage.tries[-1].seats[-1].number)
                self.do_review(agent, held, objects=content == 2, is_empty=False, keyed=False)
            elif stage.state == "in_review":
                self.do_claim("bob" if stage.tries[-1].author == "ada" else "ada", stage.name, keyed=False)
            elif stage.state == "evaluating":
                self.do_judge(stage.name, outcome if content == 3 else "passed", mark)
            elif stage.state == "claimed" and stage.lease is not None and self.model.now < stage.lease.until:
                newest = next(held for held in reversed(self.leases) if held.stage == stage.name)
                self.do_submit(agent, newest, content, says="" if content == 1 else "fixed", keyed=False)
            else:
                self.do_claim(agent, stage.name, keyed=True)

    @rule(agent=AGENTS, stage=ANY_STAGE, keyed=st.booleans())
    def claim(self, agent: str, stage: str, *, keyed: bool) -> None:
        self.do_claim(agent, stage, keyed=keyed)

    def do_claim(self, agent: str, stage: str, *, keyed: bool) -> None:
        expected = self.model.claim(stage, agent)
        brief = self.call(agent, "claim_stage", expected, keyed, agent=agent, change=self.change, stage=stage)
        if expected is None:
            self.take(agent, brief)

    @rule(agent=AGENTS)
    def claim_whatever_is_open(self, agent: str) -> None:
        expected = self.model._over(PLAN)
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

    def do_submit(self, agent: str, held: Held, content: int, *, says: str, keyed: bool) -> None:
        stage = self.model.stages[held.stage]
        found = self.found_last(held.stage) if says else []
        answers = [{"finding": finding, "disposition": says, "note": "It is so."} for finding in found]
        tried = len(stage.tries)
        expected = self.model.submit(held.stage, held.fence, content, says=says)
        given = {"lease": held.token, "summary": "Work.", "files": {f"{held.stage}.txt": f"{content}\n"}}
        told = self.call(agent, "submit_artifact", expected, keyed, **given, answers=answers, wait_s=0)
        if expected is None and len(stage.tries) > tried:
            assert told["evaluation"] == f"{self.change}.{stage.tries[-1].evaluation}"
            stage.tries[-1].commit = str(told["commit"])

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

    def do_review(self, agent: str, held: Held, *, objects: bool, is_empty: bool, keyed: bool) -> None:
        objection = {"severity": "blocking", "path": "code.txt", "message": "It is wrong."}
        expected = self.model.review(held.stage, held.fence, objects=objects, is_empty=is_empty and not objects)
        inspected = [] if is_empty else ["code.txt"]
        given = {"lease": held.token, "findings": [objection] if objects else [], "inspected": inspected}
        self.call(agent, "review_artifact", expected, keyed, **given)

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

    def do_judge(self, stage: str, outcome: str, mark: str) -> None:
        self.model.settle(stage, outcome, mark)
        self.world.judge(self.change, stage, Outcome(outcome), mark)

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

    # What holds after every step

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        record = self.world.record(self.change)
        assert record.state == self.model.change
        assert record.evaluations == self.model.evaluations
        landing = record.landing.step.value if record.landing is not None else None
        assert landing == self.model.landing
        for expected in self.model.stages.values():
            stage = record.stage(expected.name)
            lease = stage.lease
            told = {
                "state": stage.state.value,
                "fence": stage.fence,
                "lease": None if lease is None else (lease.fence, lease.holder),
                "until": None if lease is None else (lease.expires_at - self.began).total_seconds(),
                "accepted": stage.accepted,
                "counts": (stage.failed, stage.granted, stage.stuck, stage.reopened),
                "tries": [(a.state.value, a.is_free) for a in stage.attempts],
                "evaluation": stage.attempts[-1].evaluation if stage.attempts else None,
                "disputed": stage.escalation.dispute is not None if stage.escalation is not None else False,
                "seats": [
                    (x.number, x.reviewer, (x.expires_at - self.began).total_seconds())
                    for x in (stage.attempts[-1].review_leases if stage.attempts else ())
                ],
            }
            held = expected.lease
            assert told == {
                "state": expected.state if self.model.change != "cancelled" else stage.state.value,
                "fence": expected.fence,
                "lease": None if held is None else (held.fence, held.holder),
                "until": None if held is None else held.until,
                "accepted": expected.accepted,
                "counts": (expected.failed, expected.granted, expected.stuck, expected.reopened),
                "tries": [(x.state, x.is_free) for x in expected.tries],
                "evaluation": f"{self.change}.{expected.tries[-1].evaluation}" if expected.tries else None,
                "disputed": expected.disputed is not None,
                "seats": [
                    (x.number, x.reviewer, x.until) for x in (expected.tries[-1].seats if expected.tries else ())
                ],
            }, expected.name

    @invariant()
    def replaying_the_events_gives_the_record(self) -> None:
        """Invariant I9."""
        store = self.world.server.services.store
        events = store.read(lambda tx: tx.events(self.change, limit=EVENTS_MAX))
        assert [number for number, _ in events] == [*range(1, len(events) + 1)]
        assert replay(event for _, event in events) == self.world.record(self.change)

    # Helpers

    def call(self, agent: str, tool: str, expected: str | None, keyed: bool, /, **given: Any) -> Any:  # noqa: ANN401 - JSON
        self.keys += 1
        if keyed:
            given["key"] = f"{self.change}-{self.keys}"
        told = self.world.call(agent, tool, **given)
        assert told.code == expected, told.text
        if keyed and expected is None:
            self.kept.append(Kept(agent, tool, given))
        return told

    def take(self, agent: str, brief: Any) -> None:  # noqa: ANN401 - JSON
        """Keep the lease that a brief gave."""
        stage = self.model.stages[brief["stage"]]
        if brief["kind"] == "work":
            self.leases.append(Held(brief["lease"], stage.name, stage.fence))
        else:
            seat = next(seat for seat in stage.tries[-1].seats if seat.reviewer == agent)
            self.reviews.append(Held(brief["lease"], stage.name, seat.number))

    def found_last(self, name: str) -> list[str]:
        """The ids of what was found about the last attempt that failed."""
        failures = self.model.stages[name].failures()
        mark = failures[-1].mark if failures else None
        if mark in MARKS:
            return [finding_of(str(mark))]
        attempts = self.world.record(self.change).stage(name).attempts
        rejected = next((a for a in reversed(attempts) if a.state is AttemptState.FAILED), None)
        return [f.id for f in rejected.review_findings] if mark == OBJECTION and rejected is not None else []

    def likely(self, data: st.DataObject, *states: str) -> str:
        """A stage that a person may have something to say about, or, now and then, any."""
        fitting = [stage.name for stage in self.model.stages.values() if stage.state in states]
        return str(data.draw(st.sampled_from([*fitting * 3, PLAN, CODE, "nowhere"])))

    def any_lease(self, data: st.DataObject) -> Held:
        return self.any_of(self.leases, data)

    def any_of(self, leases: list[Held], data: st.DataObject) -> Held:
        """One of those ever given, the newest the most often."""
        newest = st.just(leases[-1])
        held = data.draw(st.one_of(newest, newest, st.sampled_from(leases)))
        assert isinstance(held, Held)
        return held

    def at_terminal(
        self, command: str, expected: Callable[[str], str | None], stage: str, *more: str, typed: str
    ) -> None:
        told = self.world.at_terminal(command, self.change, stage, *more, typed=typed)
        assert told == expected(stage), (command, stage)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("stateful")) as made:
        yield made


def search(world: World, *, examples: int, steps: int, deterministic: bool) -> None:
    machine = type("ProtocolHere", (Protocol,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=deterministic,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )


def test_a_few_sequences_of_calls_do_what_the_model_says(world: World) -> None:
    """The same ones every time; `make test-all` tries others."""
    search(world, examples=8, steps=20, deterministic=True)


@pytest.mark.slow
def test_many_sequences_of_calls_do_what_the_model_says(world: World) -> None:
    search(world, examples=120, steps=40, deterministic=False)
