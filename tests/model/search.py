"""Breadth-first through every world that a scenario can come to, over the real `decide` and `evolve`.

Each state is made by the real functions, from the state before it and by a command, and is then checked. What a command
about one stage does to that stage alone is remembered by what the key says of that stage: the same command from the
same stage in another surrounding is *foreseen* to be refused, or to lead to the same stage in that surrounding. A
state that is foreseen and new is made all the same, and must be the one that was foreseen; of what is foreseen and
known already, or refused, one in `DOUBTED` is put to the test. The shortest way to each state comes first, so that
what is found is told by the fewest steps.
"""

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from gatewright.gates import lifecycle
from gatewright.gates.machine import commands as c
from gatewright.gates.machine import evolve, invariants
from gatewright.gates.machine.invariants import Broken
from gatewright.schemas.records import ChangeState, StageState

from .about_change import PINS, TICK, of_change
from .about_stages import OfStage, of_stages
from .abstraction import OVER, Part, change_part, relation, stage_part
from .bounds import LANDING_FAILURES_MAX, watched
from .keys import broken_repeat
from .plans import Scenario
from .promises import broken_answer, broken_move, broken_world
from .ways import Figures, Found, Ways
from .world import Happened, World, decide

START = datetime(2026, 1, 1, tzinfo=UTC)
# One in so many memories is checked.
DOUBTED = 64
STATES_MAX = 1_000_000
# So many of the states without a way out are told.
DEAD_ENDS_TOLD_MAX = 3

Key = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class At:
    """A state: its number, a world that is in it, and what of the world decisions ask for."""

    number: int
    world: World
    key: Key


@dataclass(frozen=True, slots=True)
class Alone:
    """What became of one stage, by its part of the key."""

    part: int
    is_new_artifact: bool


Known = list[tuple[OfStage, Alone | None]]
Allowed = list[tuple[str, int | None]]


def search(scenario: Scenario) -> Figures:
    """Everything of one scenario, until something is found."""
    return Search(scenario).run()


class Search:
    """One search through one scenario, which can be run once."""

    def __init__(self, scenario: Scenario, *, states_max: int = STATES_MAX) -> None:
        self.scenario = scenario
        self.states_max = states_max
        self.of_stages, self.of_change = of_stages(scenario), of_change(scenario)
        self.rules = scenario.plan.stages
        names = [rule.name for rule in self.rules]
        self.needs = [[names.index(need) for need in rule.needs] for rule in self.rules]
        self.users = [[i for i, needs in enumerate(self.needs) if n in needs] for n in range(len(names))]
        self.parts: dict[Part, int] = {}
        self.numbers: dict[Key, int] = {}
        self.states: list[ChangeState] = []
        self.ways = Ways()
        self.waiting: deque[At] = deque()
        self.known: dict[tuple[int, int, ChangeState], Known] = {}
        self.allowed: dict[tuple[int, tuple[StageState, ...]], Allowed] = {}
        self.checked: set[tuple[str, int]] = set()
        self.memories = self.decisions = 0
        self.found: list[Found] = []
        self.first_by: Counter[str] = Counter()

    def run(self, *, stop_at_first: bool = True) -> Figures:
        """Search until nothing is left, a bound is met or, if asked, something is found."""
        began = time.perf_counter()
        depth, last, is_complete = 0, 0, True
        with watched():
            self._start()
            while self.waiting:
                here = self.waiting.popleft()
                if here.number > last:
                    depth, last = depth + 1, len(self.numbers) - 1
                self._follow(here)
                if len(self.numbers) >= self.states_max or (self.found and stop_at_first):
                    is_complete = False
                    break
        if is_complete:
            self._find_dead_ends()
        return Figures(
            scenario=self.scenario.name,
            states=len(self.numbers),
            transitions=len(self.ways),
            decisions=self.decisions,
            depth=depth,
            seconds=time.perf_counter() - began,
            is_complete=is_complete,
            found=tuple(self.found),
            first_by=self.first_by,
        )

    def _start(self) -> None:
        start = c.Start("c1", "t", "i", "stdio:ada", "b", "main", PINS["one"], self.scenario.plan)
        events = lifecycle.decide(None, start, START)
        assert isinstance(events, tuple), "a change can be started"
        record = evolve.replay(events)
        assert record is not None, "it begins with an event"
        world = World(record, START)
        self.enter(0, "start", At(0, world, self._key(world, None)))

    def enter(self, came_from: int, name: str, new: At) -> None:
        """A new state, reached by the step of this name."""
        self.numbers[new.key] = new.number
        self.ways.came.append((came_from, name))
        self.states.append(new.world.record.state)
        self.first_by[name.rpartition(": ")[2]] += 1
        self.waiting.append(new)

    # --- what may happen

    def _follow(self, here: At) -> None:
        """Take every way out of a state."""
        state = here.world.record.state
        if state in OVER:
            return
        for index, stage in enumerate(here.world.record.stages):
            memory = (index, here.key[index + 1], state)
            known = self.known.get(memory)
            self.memories += 1
            if known is None or not self.memories % DOUBTED:
                self.known[memory] = self._learn(here, index, known)
                continue
            for one, alone in known:
                foreseen = self._foresee(here, index, alone)
                there = self.numbers.get(foreseen) if foreseen is not None else None
                if there is not None:
                    self.ways.add(here.number, there)
                    continue
                command = one.make(here.world, stage)
                assert command is not None, "what was allowed can be asked again"
                entry = self._ask(here, index, one, command)
                assert self.found or (entry is not None and foreseen in {None, entry[1]}), f"{one.name}: not foreseen"
        self._follow_change(here)

    def _learn(self, here: At, index: int, known: Known | None) -> Known:
        """Ask everything about a stage, and keep what was allowed with what became of the stage alone by it."""
        found: Known = []
        stage = here.world.record.stages[index]
        for one in self.of_stages:
            command = one.make(here.world, stage)
            answer = self._ask(here, index, one, command) if command is not None else None
            if answer is None:
                continue
            found.append((one, answer[0]))
            if known is None:
                name = f"{stage.name}: {one.name}"
                self._tell_all(here.number, name, broken_repeat(name, here.world.now))
        assert self.found or known in (None, found), f"what '{stage.name}' does depends on more than its key"
        return found

    def _foresee(self, here: At, index: int, alone: Alone | None) -> Key | None:
        """The key after what concerns this stage alone, or None when that cannot be told without trying."""
        if alone is None:
            return None
        if alone.is_new_artifact and any(here.world.record.stages[i].attempts for i in self.users[index]):
            return None
        return (*here.key[: index + 1], alone.part, *here.key[index + 2 :])

    def _ask(self, here: At, index: int, one: OfStage, command: c.Command) -> tuple[Alone | None, Key] | None:
        """Ask for real; None when it is refused."""
        stage = here.world.record.stages[index]
        name = f"{stage.name}: {one.name}"
        happened = self._try(here, name, lambda: decide(here.world, command, one.seconds))
        if happened is None:
            return None
        self._tell_all(here.number, name, broken_answer(here.world.record, stage, command))
        arrived = self._arrive(here, name, happened, here.key[index + 1])
        return self._alone(here.world, happened.world, index, arrived), arrived

    def _alone(self, before: World, after: World, index: int, arrived: Key) -> Alone | None:
        """What became of the stage, when nothing becomes of anything else by it, wherever the others stand.

        Passing, and being taken back from there, is what others wait for.
        """
        record, was = after.record, before.record
        new, old = record.stages[index], was.stages[index]
        if (record.state, record.landing, after.now) != (was.state, was.landing, before.now):
            return None
        others = (new for i, new in enumerate(record.stages) if i != index and new is not was.stages[i])
        if any(others) or StageState.PASSED in {new.state, old.state}:
            return None
        return Alone(arrived[index + 1], len(new.attempts) > len(old.attempts))

    def _follow_change(self, here: At) -> None:
        """Take what is asked of the change as a whole, and what happens around it."""
        memory = (here.key[0], tuple([stage.state for stage in here.world.record.stages]))
        allowed = self.allowed.get(memory)
        if allowed is None or not self.memories % DOUBTED:
            found = [answer for name in self.of_change for answer in self._happen(here, name)]
            assert self.found or allowed in (None, found), "what is refused depends on more than the key"
            self.allowed[memory] = found
            return
        for name, over in allowed:
            if over is None:
                self._happen(here, name)
            else:
                self.ways.add(here.number, over)

    def _happen(self, here: At, name: str) -> Allowed:
        """Let it happen; one entry when it may, with the state where that is the end of the change."""
        happened = self._try(here, name, lambda: self.of_change[name](here.world))
        if happened is None:
            return [(name, None)] if name == TICK else []
        arrived = self._arrive(here, name, happened, here.key[0])
        return [(name, self.numbers[arrived] if happened.world.record.state in OVER else None)]

    def _try(self, here: At, name: str, happen: Callable[[], Happened | None]) -> Happened | None:
        """What happens; an assertion of the machine's own is something found."""
        self.decisions += 1
        try:
            return happen()
        except AssertionError as exc:
            number = re.search(r"\((I\d+)\)", str(exc))
            self._tell_all(here.number, name, [Broken(number[1] if number else "assert", str(exc))])
            return None

    # --- where it leads

    def _arrive(self, here: At, name: str, happened: Happened, part: int) -> Key:
        """Check the step, and what it leads to when either is new; returns its key.

        What leads to a known state may differ in what is not in the key: `part` is what the step was about.
        """
        before, after = here.world, happened.world
        if happened.events:
            between = invariants.broken_between(before.record, happened.events, after.record)
            self._tell_all(here.number, name, between)
        self._tell_all(here.number, name, broken_move(before, name, after))
        key = self._key(after, here)
        there = self.numbers.get(key)
        if there is None:
            there = len(self.numbers)
            self.enter(here.number, name, At(there, after, key))
            self._check(there, "", before, happened)
        elif (name, part) not in self.checked:
            self._check(here.number, name, before, happened)
        self.checked.add((name, part))
        self.ways.add(here.number, there)
        return key

    def _check(self, at: int, name: str, before: World, happened: Happened) -> None:
        """Check where a step leads: what changed, and what stands on it; the rest was checked when it changed."""
        record, after = before.record, happened.world.record
        for event in happened.events:
            record = evolve.evolve(record, event)
        if record != after:
            self._tell_all(at, name, [Broken("I9", "replaying the events gives another record")])
        is_changed = [new is not old for new, old in zip(after.stages, before.record.stages, strict=True)]
        names = {
            stage.name
            for i, stage in enumerate(after.stages)
            if is_changed[i] or any(is_changed[need] for need in self.needs[i]) or after.state in OVER
        }
        self._tell_all(at, name, (*invariants.broken(after, names), *broken_world(happened.world)))

    def _key(self, world: World, before: At | None) -> Key:
        """A number for each part of the world; what did not change since `before` keeps that of its key."""
        record, parts, now = world.record, self.parts, world.now
        if record.state in OVER:
            return (parts.setdefault((record.state,), len(parts)),)
        change = change_part(world, LANDING_FAILURES_MAX)
        is_kept = [False] * len(self.rules)
        if before is not None and before.world.now == now:
            is_kept = [new is old for new, old in zip(record.stages, before.world.record.stages, strict=True)]
        found = [parts.setdefault(change, len(parts))]
        for i, (rule, stage, needs) in enumerate(zip(self.rules, record.stages, self.needs, strict=True)):
            if before is not None and is_kept[i] and all(is_kept[n] for n in needs):
                found.append(before.key[i + 1])
            else:
                part = (i, stage_part(stage, now, is_run=rule.is_transform), relation(record, stage, rule.needs))
                found.append(parts.setdefault(part, len(parts)))
        return tuple(found)

    def _tell_all(self, at: int, name: str, broken: Iterable[Broken]) -> None:
        for one in broken:
            steps = (*self.ways.steps_to(at), *([name] if name else []))
            self.found.append(Found(one.invariant, one.sentence, steps))

    def _find_dead_ends(self) -> None:
        """From every state something leads to landed, and to cancelled from where people may still cancel (I12)."""
        going = frozenset({ChangeState.ACTIVE, ChangeState.LANDING})
        for end, of in ((ChangeState.LANDED, going), (ChangeState.CANCELLED, {ChangeState.ACTIVE})):
            ends = [at for at, state in enumerate(self.states) if state is end]
            stuck = [at for at in self.ways.cut_off(ends) if self.states[at] in of]
            for at in stuck[:DEAD_ENDS_TOLD_MAX]:
                sentence = f"from here nothing leads to {end}, as from {len(stuck) - 1} others"
                self._tell_all(at, "", [Broken("I12", sentence)])
