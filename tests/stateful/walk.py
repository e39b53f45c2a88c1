"""A walk along a story, with a look around after every step: whatever would be refused there is tried, once each.

The steps are few and always the same, so that `make test` meets by plan what the long search meets by chance.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import cycle

from .acting import Acting, Held
from .model import Model
from .reviewing import LEASE_S
from .things import CODE, PLAN

OTHER = {"ada": "bob", "bob": "ada"}
ANY_STAGE = (PLAN, CODE, "nowhere")
BECAUSE = ("done_for_now", "withdraw", "cannot", "spec_conflict", "needs_decision")
# Whoever is refused with it must not become a maker of what a story is about.
UNRELATED = 9


@dataclass(frozen=True)
class Probe:
    """What might be tried: what the model says of it, and how it is done in the model and the world at once."""

    name: str
    stage: str
    told: Callable[[Model], str | None]
    do: Callable[[], None]


class Walk:
    """One change from its start. A call with a stage's lease is made by its holder and by the other agent in turn."""

    def __init__(self, machine: Acting, tried: set[tuple[str, str, str]]) -> None:
        self.machine = machine
        self._tried = tried
        self._turns = cycle([True, False])
        machine.start("ada")
        self._look_around()

    # Steps of a story, each of which has its effect

    def claim(self, agent: str, stage: str) -> None:
        self._step(lambda: self.machine.do_claim(agent, stage, keyed=True))

    def claim_refused(self, agent: str, stage: str, code: str) -> None:
        """What the story is about: also when the same was refused in the same state before."""
        assert deepcopy(self.machine.model).claim(stage, agent) == code, "the model says otherwise"
        self.machine.do_claim(agent, stage, keyed=False)

    def submit(self, stage: str, content: int, *, says: str = "") -> None:
        held = self._newest(stage)
        self._step(lambda: self.machine.do_submit(self._taker(held), held, content, says=says, keyed=True))

    def judge(self, stage: str, outcome: str, mark: str = "one") -> None:
        self._step(lambda: self.machine.do_judge(stage, outcome, mark))

    def review(self, *, objects: bool = False) -> None:
        """By whoever claimed it: for the maker, with the same lease, it has just been refused."""
        held = self.machine.reviews[-1]
        self._step(lambda: self.machine.do_review(held.holder, held, objects=objects, is_empty=False, keyed=True))

    def release(self, stage: str, because: str, upstream: str = "") -> None:
        held = self._newest(stage)
        self._step(lambda: self.machine.do_release(self._taker(held), held, because, upstream, keyed=True))

    def renew(self, stage: str) -> None:
        held = self._newest(stage)
        self._step(lambda: self.machine.do_renew(self._taker(held), held))

    def renew_review(self) -> None:
        held = self.machine.reviews[-1]
        self._step(lambda: self.machine.do_go_on_reviewing(OTHER[held.holder], held))

    def let_review_go(self) -> None:
        held = self.machine.reviews[-1]
        self._step(lambda: self.machine.do_let_go(OTHER[held.holder], held, "cannot"))

    def person(self, decides: Callable[[], None]) -> None:
        self._step(decides)

    def submit_late(self, held: Held, content: int) -> None:
        """Refused, and kept as its holder's."""
        self._step(lambda: self.machine.do_submit(held.holder, held, content, says="", keyed=False))

    def wait(self, seconds: int = LEASE_S) -> None:
        self.machine.do_wait(seconds)
        self._look_around()

    def hand_over(self, stage: str, content: int, *, agent: str = "ada") -> None:
        self.claim(agent, stage)
        self.submit(stage, content)
        self.judge(stage, "passed")

    def end(self) -> None:
        """What was done by a key has no second effect; a lease that nobody was given has none."""
        before = self.machine.world.record(self.machine.change)
        for kept in {kept.tool: kept for kept in self.machine.kept}.values():
            self.machine.do_repeat(kept)
        self.machine.do_use_key_again(self.machine.kept[-1])
        self.machine.do_forge("ada", self.machine.leases[-1])
        assert self.machine.world.record(self.machine.change) == before

    # A look around

    def _step(self, step: Callable[[], None]) -> None:
        before = self.machine.world.record(self.machine.change)
        step()
        assert self.machine.world.record(self.machine.change) != before, "a step of the story had no effect"
        self._look_around()

    def _look_around(self) -> None:
        machine = self.machine
        machine.the_store_is_as_the_model_says()
        machine.replaying_the_events_gives_the_record()
        for probe in self._probes():
            told = probe.told(deepcopy(machine.model))
            stage = machine.model.stages.get(probe.stage)
            tried = (probe.name, "" if stage is None else stage.state, str(told))
            if told is not None and tried not in self._tried:
                self._tried.add(tried)
                probe.do()
                machine.the_store_is_as_the_model_says()

    def _probes(self) -> Iterator[Probe]:
        yield Probe("cancel", "", lambda m: m.cancel(), self.machine.do_cancel)
        for stage in ANY_STAGE:
            yield from (self._claim(agent, stage) for agent in OTHER)
            yield from self._people(stage)
        for held in self._some(self.machine.leases):
            yield from (self._submit(held, content, says) for content, says in self._contents(held))
            yield from (self._release(held, because) for because in BECAUSE)
            yield self._renew(held)
        for held in self._some(self.machine.reviews):
            yield from (self._review(agent, held, is_empty=empty) for agent in OTHER for empty in (False, True))
            yield from (self._let_go(held, because) for because in BECAUSE)
            yield self._renew_review(held)

    def _claim(self, agent: str, stage: str) -> Probe:
        do = self.machine.do_claim
        return Probe(f"claim by {agent}", stage, lambda m: m.claim(stage, agent), lambda: do(agent, stage, keyed=False))

    def _people(self, stage: str) -> Iterator[Probe]:
        to = self.machine
        yield Probe("reopen", stage, lambda m: m.reopen(stage), lambda: to.do_reopen(stage))
        yield Probe("retry", stage, lambda m: m.retry(stage), lambda: to.do_retry_gates(stage))
        yield Probe("grant", stage, lambda m: m.grant(stage, 1), lambda: to.do_grant(stage, 1))
        yield Probe("answer", stage, lambda m: m.answer(stage, allowed=True), lambda: to.do_answer(stage, allowed=True))

    def _submit(self, held: Held, content: int, says: str) -> Probe:
        return Probe(
            f"submit {content == UNRELATED} {says}",
            held.stage,
            lambda m: m.submit(held.stage, held.fence, content, says=says),
            lambda: self.machine.do_submit(self._taker(held), held, content, says=says, keyed=False),
        )

    def _release(self, held: Held, because: str) -> Probe:
        """A conflict is found with what comes after `plan`, which is no stage before any."""
        upstream = CODE if because == "spec_conflict" else None
        return Probe(
            f"release {self._age(held)}",
            held.stage,
            lambda m: m.release(held.stage, held.fence, because, upstream),
            lambda: self.machine.do_release(self._taker(held), held, because, CODE, keyed=False),
        )

    def _renew(self, held: Held) -> Probe:
        do = self.machine.do_renew
        name = f"renew {self._age(held)}"
        return Probe(name, held.stage, lambda m: m.renew(held.stage, held.fence), lambda: do(self._taker(held), held))

    def _review(self, agent: str, held: Held, *, is_empty: bool) -> Probe:
        return Probe(
            f"review by {agent} {is_empty}",
            held.stage,
            lambda m: m.review(held.stage, held.fence, agent, objects=False, is_empty=is_empty),
            lambda: self.machine.do_review(agent, held, objects=False, is_empty=is_empty, keyed=False),
        )

    def _let_go(self, held: Held, because: str) -> Probe:
        return Probe(
            "let a review go",
            held.stage,
            lambda m: m.release_review(held.stage, held.fence, because),
            lambda: self.machine.do_let_go(self._taker(held), held, because),
        )

    def _renew_review(self, held: Held) -> Probe:
        return Probe(
            "renew review",
            held.stage,
            lambda m: m.renew_review(held.stage, held.fence),
            lambda: self.machine.do_go_on_reviewing(self._taker(held), held),
        )

    def _contents(self, held: Held) -> Iterator[tuple[int, str]]:
        """What to try to hand in: something else, and, where it would not be kept as late work, the same again."""
        yield UNRELATED, ""
        stage = self.machine.model.stages[held.stage]
        failures = stage.failures()
        if failures and stage.state == "claimed" and stage.lease is not None and stage.lease.fence == held.fence:
            yield from ((failures[-1].content, says) for says in ("", "fixed"))

    def _age(self, held: Held) -> str:
        return "newest" if held == self._newest(held.stage) else "former"

    def _newest(self, stage: str) -> Held:
        return next(held for held in reversed(self.machine.leases) if held.stage == stage)

    def _some(self, leases: list[Held]) -> list[Held]:
        """The newest and the oldest of each stage."""
        by_stage = [[held for held in leases if held.stage == stage] for stage in (PLAN, CODE)]
        return [held for own in by_stage if own for held in dict.fromkeys([own[0], own[-1]])]

    def _taker(self, held: Held) -> str:
        return held.holder if next(self._turns) else OTHER[held.holder]
