"""`gatewright why`: because of what a change or a stage does not move, and what would unlock it. One screen."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...gates.text import number_of, shorten
from ...schemas.decisions import Looking
from ...schemas.ids import LAND, short
from .command import Exit
from .desks import decision_of, desk_of
from .spoken import as_commands, fields_as_typed
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.replies import AttemptReply, StageWhy

# A screen has 40 lines; what is left out of it is named.
LINES_MAX = 40
QUESTION_LINES_MAX = 10
LINE_CHARS_MAX = 200
DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("change", metavar="CHANGE")
    parser.add_argument("stage", metavar="STAGE", nargs="?", help="only this stage, or `land` for the landing")
    parser.add_argument("--json", action="store_true", help="as get_status tells it")


def run(command: str, options: Namespace, terminal: Terminal) -> int:
    """Tell it from one consistent look at the store."""
    looking = decision_of(Looking, change=options.change, stage=options.stage)
    with desk_of(options, terminal) as desk:
        found = desk.why(looking)
    if options.json:
        status = fields_as_typed(found.status.model_dump(mode="json"), command)
        terminal.write_data(json.dumps(status, indent=2) + "\n")
        return Exit.OK
    terminal.say(f"{found.change} {shorten(found.title, LINE_CHARS_MAX)}: {found.state}", "bold")
    terminal.say(f"base {short(found.base)}, target {found.target}, policy of {short(found.policy)}", "dim")
    is_one = options.stage is not None
    lines: list[str] = []
    for one in found.told:
        lines += [_headline(one), *_reasons(one, command), *(_tried(one) if is_one else _last_tried(one))]
        lines += _question(found.change, one.stage, found.questions.get(one.stage, ()))
    one_alone = f"gatewright why {found.change} STAGE tells one of them"
    more = f"gatewright log {found.change} tells all" if is_one else one_alone
    for line in _screen(lines, more):
        terminal.say(line, *(() if line.startswith(" ") else ("bold",)))
    return Exit.OK


def lasting(seconds: int) -> str:
    """How long in one unit or two: `3 d 4 h`, `2 h 5 min`, `40 s`."""
    if seconds >= DAY_S:
        return f"{seconds // DAY_S} d {seconds % DAY_S // HOUR_S} h"
    if seconds >= HOUR_S:
        return f"{seconds // HOUR_S} h {seconds % HOUR_S // MINUTE_S} min"
    return f"{seconds // MINUTE_S} min" if seconds >= 2 * MINUTE_S else f"{seconds} s"


def _headline(why: "StageWhy") -> str:
    since = f" for {lasting(why.since_s)}" if why.since_s is not None else ""
    holder = f", held by '{why.holder}'" if why.holder else ""
    held = f" for {lasting(why.held_s)}" if why.held_s is not None else ""
    left = f", {lasting(why.expires_in_s)} left" if why.expires_in_s is not None else ""
    return f"{why.stage}: {why.state.replace('_', ' ')}{since}{holder}{held}{left}"


def _reasons(why: "StageWhy", command: str) -> Iterator[str]:
    if why.state == "passed":
        return
    yield f"  {why.because}"
    for reviews in why.reviews:
        busy = f", {reviews.reviewing} at it" if reviews.reviewing else ""
        yield f"  review '{reviews.gate}': {reviews.given} given, {reviews.missing} missing{busy}"
        yield f"    may review: {reviews.may_review}"
    for unlock in why.unlocks:
        later = f" (in {lasting(unlock.in_s)})" if unlock.in_s is not None else ""
        yield f"  unlock, {unlock.who}{later}: {as_commands(unlock.how, command)}"


def _tried(why: "StageWhy") -> Iterator[str]:
    """The latest attempts, notes and orphans of a stage, a line each."""
    if why.attempts_made and why.stage != LAND:
        left = f", {why.attempts_left} more may fail" if why.attempts_left is not None else ""
        yield f"  tried {number_of(why.attempts_made, 'times')}{left}{f'; {why.stuck}' if why.stuck else ''}"
    yield from map(_attempt, why.attempts)
    for note in why.notes:
        yield f"  note from {note.source}: {note.text}"
    for orphan in why.orphans:
        yield f"  kept: {short(orphan.commit)} of '{orphan.holder}' ({orphan.note})"
    if why.left_out:
        yield f"  left out here: {why.left_out}"


def _last_tried(why: "StageWhy") -> Iterator[str]:
    if why.state != "passed":
        yield from map(_attempt, why.attempts[-1:])


def _attempt(attempt: "AttemptReply") -> str:
    model = f" ({attempt.model})" if attempt.model else ""
    found = f", {number_of(attempt.findings, 'findings')}" if attempt.findings else ""
    gates = f": {attempt.gates}" if attempt.gates else ""
    return f"  attempt {attempt.number} by '{attempt.holder}'{model} ({attempt.commit}) {attempt.outcome}{found}{gates}"


def _question(change: str, name: str, texts: tuple[str, ...]) -> Iterator[str]:
    lines = [line for text in texts for line in text.splitlines()]
    yield from (f"  | {line}" for line in lines[:QUESTION_LINES_MAX])
    if len(lines) > QUESTION_LINES_MAX:
        left = len(lines) - QUESTION_LINES_MAX
        yield f"  | ... {number_of(left, 'more lines')}: gatewright answer {change} {name} shows all"


def _screen(lines: list[str], more: str) -> Iterator[str]:
    """The lines in no more than a screen, each as one, with what to call for the rest."""
    room = LINES_MAX - 3
    flat = [shorten(" ".join(line.splitlines()), LINE_CHARS_MAX) for line in lines]
    yield from flat if len(flat) <= room else flat[: room - 1]
    if len(flat) > room:
        yield f"  ... {number_of(len(flat) - room + 1, 'more lines')}: {more}."
