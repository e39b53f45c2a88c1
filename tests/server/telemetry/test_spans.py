"""What the events of a change tell, over hundreds of changes that went every way there is."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from gatewright.gates.machine import commands as c
from gatewright.schemas.plan import PolicyPin
from gatewright.schemas.records import Evidence, Orphan, Outcome
from gatewright.schemas.stage_events import OrphanKept
from gatewright.server.telemetry.span import CHANGE, Span
from gatewright.server.telemetry.spans import spans_of

from ...gates.lifecycle_story import DEFAULT_RULES, Story, judged, rule

OUTCOMES = (Outcome.PASSED, Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED, Outcome.PENDING)
STEPS = 60
WALKS = 100
RULES = (rule("plan"), rule("made", "plan", is_run=True), rule("code", "made", otherwise="plan"))


def walked(seed: int) -> Story:
    """A change that somebody pushed about, and that ended."""
    chance = random.Random(seed)
    story = Story(chance.choice((DEFAULT_RULES, RULES)))
    for _ in range(STEPS):
        story.wait(chance.choice((0, 1, 30, 1_000)))
        _push(story, chance)
        if story.record.landed_commit:
            return story
    story.do(c.Cancel("ann", "enough"))
    return story


def _push(story: Story, chance: random.Random) -> None:
    stage = chance.choice(story.record.stages)
    name, outcome = stage.name, chance.choice(OUTCOMES)
    ways: list[Callable[[], object]] = [
        lambda: story.claim(name, chance.choice("abc")),
        lambda: story.claim(name, "d"),
        lambda: story.submit(name, f"t{chance.randrange(99)}"),
        lambda: story.do(c.Release(name, stage.fence, chance.choice(tuple(c.Because)), "so", "plan")),
        lambda: story.do(c.RetryGates(name, "ann")),
        lambda: story.do(c.GrantAttempts(name, "ann", 2)),
        lambda: story.do(c.Answer(name, None, chance.random() < 0.7, "ann", "note")),
    ]
    if chance.random() < 0.08:
        ways = [
            lambda: story.do(c.Reopen(name, "ann", "again")),
            lambda: story.do(c.Repin(PolicyPin("q" * 40, "other"), story.record.plan, "another policy")),
        ]
    elif stage.transform is not None:
        ways.append(lambda: story.finish_run(name, chance.choice((Outcome.PASSED, Outcome.FAILED)), "f1"))
    elif stage.state == "evaluating":
        ways = [lambda: story.settle(name, outcome, *(["f1"] if outcome is Outcome.FAILED else []))]
    landing = story.record.landing
    if landing is not None and chance.random() < 0.8:
        ways = [
            lambda: story.do(judged(story, outcome)),
            lambda: story.do(c.BlockLanding(landing.evaluation, "in the way")),
            lambda: story.do(c.RetryLanding("ann")),
            lambda: story.do(c.ConfirmLanding(landing.number)),
            lambda: story.do(c.LoseLanding(landing.number, "it had moved")),
        ]
    chance.choice(ways)()


def told(story: Story, *, after: int = 0, until: int | None = None) -> list[Span]:
    history = list(enumerate(story.events, 1))[:until]

    def evidence_of(_: str) -> list[Evidence]:
        return [
            Evidence(gate, "command", Outcome.PASSED, 1, "things", "fine", duration_s=40.0, told_at=story.now)
            for gate in ("scope", "test")
        ]

    return [span for _, span in spans_of(history, evidence_of, after=after)]


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    return [walked(seed) for seed in range(WALKS)]


def test_the_walks_go_where_changes_go(stories: list[Story]) -> None:
    kinds = Counter(span.what for story in stories for span in told(story))

    assert {CHANGE, "stage", "unclaimed", "escalated", "in review", "lease", "attempt", "gate", "landing"} <= set(kinds)
    assert {"claim", "submit", "release", "reopen", "repin", "cancel", "landing blocked"} <= set(kinds)


def test_every_span_of_a_change_that_ended_is_told_once_and_lies_in_one_that_is_told(stories: list[Story]) -> None:
    for story in stories:
        spans = {span.key: span for span in told(story)}

        assert len(spans) == len(told(story))
        for span in spans.values():
            assert span.began_at <= span.ended_at
            if span.key != CHANGE:
                assert span.parent is not None
                parent = spans[span.parent]
                assert parent.began_at <= span.began_at, (span, parent)
                assert span.ended_at <= parent.ended_at + timedelta(), (span, parent)


def test_told_step_by_step_by_many_it_is_the_same_as_told_at_once(stories: list[Story]) -> None:
    """Whoever committed a step tells what it ended, and knows of no other."""
    for seed, story in enumerate(stories[:20]):
        chance = random.Random(seed)
        cuts = sorted({0, len(story.events), *(chance.randrange(len(story.events)) for _ in range(8))})

        pieces = [span for after, until in pairwise(cuts) for span in told(story, after=after, until=until)]

        assert pieces == told(story)


def test_a_lease_that_ran_out_is_told_when_the_next_one_takes_over() -> None:
    story = Story()
    story.claim("plan", "ada")
    story.wait(1_000)
    story.claim("plan", "bob")

    leases = [(span.outcome, span.attributes["gatewright.holder"]) for span in told(story) if span.what == "lease"]

    assert leases == [("taken_over", "ada")]


def test_what_was_served_from_an_earlier_verdict_took_no_time() -> None:
    story = Story()
    story.claim("plan")
    story.submit("plan")
    story.wait(60)
    story.settle("plan", Outcome.PASSED)
    kept = Evidence("test", "test", Outcome.PASSED, 1, "tests", "fine", duration_s=40.0, cached=True)

    spans = spans_of(enumerate(story.events, 1), lambda _: [kept])

    assert [span.seconds for _, span in spans if span.what == "gate"] == [0.0]


def test_a_change_ends_once_whatever_is_kept_of_it_later() -> None:
    story = Story()
    story.claim("plan")
    story.do(c.Cancel("ann", "enough"))
    before = told(story)
    story.events.append(OrphanKept(story.now, "plan", Orphan("o" * 40, "ada", 1, story.now, "late")))

    assert told(story) == before
    assert [span.key for span in before if span.what == CHANGE] == [CHANGE]
