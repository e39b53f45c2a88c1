"""What a machine does in the world and in the model at once, and what must agree after every step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
)

from gatewright.gates.machine import commands as c
from gatewright.gates.machine.evolve import replay
from gatewright.schemas.ids import format_lease, parse_lease
from gatewright.schemas.records import AttemptState, GateOutcome, Outcome

from .model import Model
from .reviewing import OBJECTION
from .things import CODE, MARKS, PLAN
from .world import World, finding_of

AGENTS = st.sampled_from(["ada", "bob"])
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
    holder: str


class Acting(RuleBasedStateMachine):
    """One change of the world's store, and the model of it."""

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

    def do_claim(self, agent: str, stage: str, *, keyed: bool) -> None:
        expected = self.model.claim(stage, agent)
        brief = self.call(agent, "claim_stage", expected, keyed, agent=agent, change=self.change, stage=stage)
        if expected is None:
            self.take(agent, brief)

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

    def do_review(self, agent: str, held: Held, *, objects: bool, is_empty: bool, keyed: bool) -> None:
        objection = {"severity": "blocking", "path": "code.txt", "message": "It is wrong."}
        expected = self.model.review(held.stage, held.fence, agent, objects=objects, is_empty=is_empty and not objects)
        inspected = [] if is_empty else ["code.txt"]
        given = {"lease": held.token, "findings": [objection] if objects else [], "inspected": inspected}
        self.call(agent, "review_artifact", expected, keyed, **given)

    def do_renew(self, agent: str, held: Held) -> None:
        self.call(agent, "renew_lease", self.model.renew(held.stage, held.fence), False, lease=held.token)

    def do_release(self, agent: str, held: Held, because: str, upstream: str, *, keyed: bool) -> None:
        named = upstream if because == "spec_conflict" else None
        expected = self.model.release(held.stage, held.fence, because, named)
        given = {"lease": held.token, "because": because, "reason": "It is so."}
        told = self.call(agent, "release_stage", expected, keyed, **given, stage=named)
        if expected is None:
            assert told["stage_state"] == self.model.stages[held.stage].state

    def do_let_go(self, agent: str, held: Held, because: str) -> None:
        """Of a review."""
        expected = self.model.release_review(held.stage, held.fence, because)
        self.call(agent, "release_stage", expected, False, lease=held.token, because=because, reason="It is so.")

    def do_go_on_reviewing(self, agent: str, held: Held) -> None:
        """Or take what only the holder of a stage may do for it."""
        self.call(agent, "renew_lease", self.model.renew_review(held.stage, held.fence), False, lease=held.token)
        self.model.renew_review(held.stage, held.fence)
        self.call(agent, "submit_artifact", "not_allowed", False, lease=held.token, summary="Mine.", files={"a": "b"})

    def do_repeat(self, kept: Kept) -> None:
        """Invariant I8: the same call again has no other effect, and is no refusal."""
        told = self.world.call(kept.agent, kept.tool, **kept.given)
        assert not told.is_refused, told.text

    def do_use_key_again(self, kept: Kept) -> None:
        """For something else."""
        told = self.world.call(kept.agent, "start_change", title="Other", intent="Other.", key=kept.given["key"])
        assert told.code == "idempotency_conflict"

    def do_forge(self, agent: str, held: Held) -> None:
        """A lease of a fence that was never given, with the proof of another."""
        name = parse_lease(held.token)
        assert name is not None
        token = format_lease(name.change, name.stage, held.fence + 1, name.proof)
        self.call(agent, "renew_lease", "unknown_lease", False, lease=token)
        self.call(agent, "submit_artifact", "unknown_lease", True, lease=token, summary="Mine.", files={"a": "b"})

    def do_reopen(self, stage: str) -> None:
        self.at_terminal("reopen", self.model.reopen, stage, "--reason", "Wrong.", typed=f"{self.change}\n")

    def do_retry_gates(self, stage: str) -> None:
        self.at_terminal("retry-gates", self.model.retry, stage, typed="y\n")

    def do_grant(self, stage: str, count: int) -> None:
        typed = f"{self.change}\n"
        self.at_terminal("grant-attempts", lambda s: self.model.grant(s, count), stage, str(count), typed=typed)

    def do_answer(self, stage: str, *, allowed: bool) -> None:
        said = ("--allow" if allowed else "--refuse", "--note", "So it is.")
        self.at_terminal("answer", lambda s: self.model.answer(s, allowed=allowed), stage, *said, typed=f"{stage}\n")

    def do_cancel(self) -> None:
        told = self.world.at_terminal("cancel", self.change, "--reason", "Enough.", typed="y\n")
        assert told == self.model.cancel()

    def do_land(self) -> None:
        landing = self.world.record(self.change).landing
        assert landing is not None
        gates = (GateOutcome("scope", Outcome.PASSED), PASSED)
        self.world.decide(self.change, c.SettleLanding(landing.evaluation, "old", "new", "tree", gates))
        self.model.settle_landing()

    def do_confirm_landing(self) -> None:
        landing = self.world.record(self.change).landing
        assert landing is not None
        self.world.decide(self.change, c.ConfirmLanding(landing.number))
        self.model.confirm_landing()

    def do_wait(self, seconds: int) -> None:
        self.model.now += seconds
        self.world.clock.advance(seconds)

    def do_judge(self, stage: str, outcome: str, mark: str) -> None:
        self.model.settle(stage, outcome, mark)
        self.world.judge(self.change, stage, Outcome(outcome), mark)

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
            assert (brief["workspace"] == str(self.world.repository.path)) is self.world.is_here, brief.text
            self.leases.append(Held(brief["lease"], stage.name, stage.fence, agent))
        else:
            seat = next(seat for seat in stage.tries[-1].seats if seat.reviewer == agent)
            self.reviews.append(Held(brief["lease"], stage.name, seat.number, agent))

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
        wanted = expected(stage)
        assert told == wanted, f"{command} {stage}: {told}, not {wanted}"
