"""The demo's end: what the server has recorded, counted, against what the story must have led to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .demo_agent import DemoFailed
from .demo_scratch import Scratch
from .demo_story import Story
from .demo_timeline import Timeline
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.events import Event

EVENTS_MAX = 500

# What the story must have led to, in the server's own record; whatever else happened is a failure of the demo.
EXPECTED = {
    "stages claimed": 3,
    "taken over": 1,
    "attempts judged": 4,
    "attempts failed": 2,
    "questions to a person": 1,
    "unsaved or late work kept": 2,
    "requests refused": 2,
    "server kills survived": 1,
    "changes landed": 1,
}


def show_result(story: Story, scratch: Scratch, timeline: Timeline, terminal: Terminal) -> None:
    """The landed commit, what `verify` says of it, and the count; raises `DemoFailed` when something is missing."""
    terminal.say()
    terminal.say("$ git log --graph --oneline", "dim")
    terminal.say(scratch.git("log", "--graph", "--oneline"))
    terminal.say("$ gatewright verify main", "dim")
    terminal.say(scratch.gatewright("verify", "main").strip(), "green")
    counted = _count(story, _events(scratch, story.change))
    terminal.say()
    terminal.table(("WHAT HAPPENED", "TIMES"), [(what, str(number)) for what, number in counted.items()])
    wrong = [
        f"{what}: {number} instead of {EXPECTED[what]}" for what, number in counted.items() if number != EXPECTED[what]
    ]
    if wrong:
        raise DemoFailed(f"The record is not what the story led to: {'; '.join(wrong)}")
    terminal.say()
    terminal.say(f"All of it happened, on a real server, in {timeline.elapsed_s():.0f} s.", "green")


def _count(story: Story, events: "Sequence[Event]") -> dict[str, int]:
    from ...schemas import events as e

    def count(kind: type) -> int:
        return sum(isinstance(event, kind) for event in events)

    return {
        "stages claimed": count(e.StageClaimed),
        "taken over": sum(isinstance(event, e.StageClaimed) and event.taken_over is not None for event in events),
        "attempts judged": count(e.ArtifactSubmitted),
        "attempts failed": count(e.AttemptFailed),
        "questions to a person": count(e.QuestionAnswered),
        "unsaved or late work kept": count(e.OrphanKept),
        "requests refused": sum(len(agent.refusals) for agent in story.agents),
        "server kills survived": story.kills,
        "changes landed": count(e.ChangeLanded),
    }


def _events(scratch: Scratch, change: str) -> "list[Event]":
    from ..store import open_store

    store = open_store(scratch.state, create=False)
    try:
        return [event for _, event in store.read(lambda tx: tx.events(change, limit=EVENTS_MAX))]
    finally:
        store.close()
