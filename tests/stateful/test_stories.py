"""A few stories that lead through every state of a stage, with all that is refused on the way, beside the model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from .machine import Protocol, search
from .things import CODE, PLAN
from .walk import Walk
from .world import World, a_world

Story: TypeAlias = Callable[[Walk], None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("stories")) as made:
        yield made


def landing_after_an_objection(walk: Walk) -> None:
    walk.hand_over(PLAN, 0)
    walk.hand_over(CODE, 0)
    walk.claim("bob", CODE)
    walk.let_review_go()
    walk.claim("bob", CODE)
    walk.review(objects=True)
    walk.submit(CODE, 1, says="fixed")
    walk.judge(CODE, "passed")
    walk.claim("bob", CODE)
    walk.review()
    walk.person(walk.machine.do_land)
    walk.person(walk.machine.do_confirm_landing)


def going_back_until_nobody_knows_better(walk: Walk) -> None:
    for content in (0, 1):
        walk.hand_over(PLAN, content)
        walk.claim("bob", CODE)
        for attempt, mark in enumerate(("one", "two")):
            walk.submit(CODE, attempt, says="fixed")
            walk.judge(CODE, "failed", mark)
    walk.person(lambda: walk.machine.do_grant(PLAN, 1))
    walk.claim("ada", PLAN)
    walk.release(PLAN, "needs_decision")
    walk.person(walk.machine.do_cancel)


def disputing_and_asking(walk: Walk) -> None:
    walk.claim("ada", PLAN)
    walk.submit(PLAN, 0)
    walk.judge(PLAN, "failed")
    walk.submit(PLAN, 0, says="disputed")
    walk.person(lambda: walk.machine.do_answer(PLAN, allowed=True))
    walk.judge(PLAN, "passed")
    walk.claim("bob", CODE)
    walk.release(CODE, "needs_decision")
    walk.person(lambda: walk.machine.do_reopen(PLAN))
    walk.hand_over(PLAN, 1, agent="bob")
    walk.person(lambda: walk.machine.do_answer(CODE, allowed=False))
    walk.claim("bob", CODE)
    walk.release(CODE, "spec_conflict", PLAN)


def time_running_out(walk: Walk) -> None:
    walk.claim("ada", PLAN)
    walk.wait()
    walk.claim("bob", PLAN)
    walk.submit(PLAN, 0)
    walk.release(PLAN, "withdraw")
    walk.submit(PLAN, 1)
    walk.release(PLAN, "done_for_now")
    walk.judge(PLAN, "failed")
    walk.hand_over(PLAN, 2)
    walk.claim("ada", CODE)
    walk.release(CODE, "cannot")
    walk.hand_over(CODE, 0, agent="bob")
    walk.claim("ada", CODE)
    walk.wait()
    walk.wait(60)
    walk.renew_review()
    walk.release(CODE, "withdraw")
    walk.wait(60)
    walk.renew(CODE)


def broken_gates_and_questions(walk: Walk) -> None:
    walk.claim("ada", PLAN)
    walk.submit(PLAN, 0)
    for _ in range(3):
        walk.judge(PLAN, "errored")
    walk.person(lambda: walk.machine.do_retry_gates(PLAN))
    walk.judge(PLAN, "pending")
    walk.person(lambda: walk.machine.do_answer(PLAN, allowed=False))
    walk.hand_over(PLAN, 1)
    walk.claim("ada", CODE)
    walk.submit(CODE, 0)
    walk.judge(CODE, "pending")
    walk.claim("bob", CODE)
    walk.review()
    walk.person(lambda: walk.machine.do_answer(CODE, allowed=True))
    walk.person(lambda: walk.machine.do_reopen(CODE))


def adopting_what_came_too_late(walk: Walk) -> None:
    walk.hand_over(PLAN, 0)
    walk.claim("ada", CODE)
    walk.wait()
    walk.claim("bob", CODE)
    walk.submit_late(walk.machine.leases[-2], 3)
    walk.submit(CODE, 2)
    walk.judge(CODE, "passed")
    walk.claim("ada", CODE)
    walk.review()
    walk.person(lambda: walk.machine.do_reopen(CODE))
    walk.hand_over(CODE, 3, agent="bob")
    walk.claim_refused("ada", CODE, "own_work")
    walk.claim_refused("bob", CODE, "own_work")


STORIES = (
    landing_after_an_objection,
    going_back_until_nobody_knows_better,
    disputing_and_asking,
    time_running_out,
    broken_gates_and_questions,
    adopting_what_came_too_late,
)


@pytest.fixture(scope="module")
def tried() -> set[tuple[str, str, str]]:
    """What was refused in a story before is not tried in the next."""
    return set()


def tell(story: Story, world: World, tried: set[tuple[str, str, str]]) -> None:
    machine = type("Told", (Protocol,), {"world": world})()
    try:
        walk = Walk(machine, tried)
        story(walk)
        walk.end()
    finally:
        machine.teardown()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_everything_that_is_refused_on_the_way_is_refused_as_the_model_says(
    world: World, tried: set[tuple[str, str, str]], story: Story
) -> None:
    tell(story, world, tried)


def test_where_agents_work_in_the_persons_checkout_the_same_is_refused_there(tmp_path: Path) -> None:
    with a_world(tmp_path, is_here=True) as world:
        tell(time_running_out, world, set())

        status = world.repository.git("status", "--porcelain", "--untracked-files=all").splitlines()
        assert status == ["?? plan.txt"], "nothing but what the stage builds on was put there"


@pytest.mark.slow
def test_a_long_search_meets_no_refusal_that_the_stories_do_not_meet(tmp_path: Path) -> None:
    """What `make test` does not meet, it would not see change."""
    with a_world(tmp_path / "stories") as world:
        tried: set[tuple[str, str, str]] = set()
        for story in STORIES:
            tell(story, world, tried)
        told = world.met
    with a_world(tmp_path / "search") as world:
        search(world, examples=20, steps=40, seeded=None)

        assert not world.met - told
