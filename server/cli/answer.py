"""`gatewright answer`: a person reads what a gate asks about a commit, and allows or refuses it.

The answer is for the question that was shown: when the attempt has been replaced meanwhile, nothing is decided.
"""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from ...schemas import refusals
from ...schemas.refusals import Refused
from .asking import confirm_by_typing, require_person
from .command import CannotGoOn, Exit
from .opening import person, services_of
from .questions import Question, find_question
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.records import ChangeRecord
    from ..services import Services
    from ..store.tx import Tx


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("change", metavar="CHANGE")
    parser.add_argument("stage", metavar="STAGE", help="a stage, or land")
    parser.add_argument("--gate", metavar="GATE", help="only this gate's question (default: all that are open)")
    decision = parser.add_mutually_exclusive_group()
    decision.add_argument("--allow", action="store_true", help="let it pass")
    decision.add_argument("--refuse", action="store_true", help="fail the attempt")
    parser.add_argument("--note", metavar="TEXT", default="", help="why; kept, and shown to the next holder")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Show the question, have the decision typed, and record it."""
    require_person(terminal, f"gatewright answer {options.change} {options.stage}")
    with services_of(options) as services:
        question = services.store.read(lambda tx: _get_question(tx, options.change, options.stage, options.gate))
        _show(question, terminal)
        note = options.note or (terminal.ask("Your answer:") if question.is_escalation else "")
        is_open = question.is_escalation and not question.is_dispute
        allowed = True if is_open and not options.refuse else _decision(options, terminal)
        confirm_by_typing(terminal, question.stage, f"{'allow' if allowed else 'refuse'} it")
        record = _record(services, question, gate=options.gate, allowed=allowed, note=note)
    landing = f", landing {record.landing.step}" if record.landing is not None else ""
    stages = ", ".join(f"{stage.name} {stage.state.replace('_', ' ')}" for stage in record.stages)
    terminal.say(f"Answered. {record.id}: {stages}{landing}.", "green")
    return Exit.OK


def _show(question: Question, terminal: Terminal) -> None:
    terminal.say(f"About {question.about}", "bold")
    for text in question.texts:
        terminal.say()
        terminal.say(text)
    terminal.say()
    if not question.is_escalation and question.stage != "land":
        terminal.say(f"The whole diff: gatewright read {question.change} {question.stage} diff", "dim")


def _decision(options: Namespace, terminal: Terminal) -> bool:
    if options.allow or options.refuse:
        return bool(options.allow)
    typed = terminal.ask("allow or refuse?").lower()
    if typed not in ("allow", "refuse"):
        raise CannotGoOn("Nothing was decided.", "Type allow or refuse.", code="not_confirmed")
    return typed == "allow"


def _record(services: "Services", shown: Question, *, gate: str | None, allowed: bool, note: str) -> "ChangeRecord":
    """Record the answer in one transaction with a look at whether the question is still the one that was shown."""
    from ...gates.commands import Answer
    from ..operations.deciding import apply, get_change

    def work(tx: "Tx") -> "ChangeRecord":
        record = get_change(tx, shown.change)
        now_open = find_question(tx, record, shown.stage, gate)
        if now_open is None or (now_open.subject, now_open.gates) != (shown.subject, shown.gates):
            message = "While you were reading, the attempt was replaced or answered; nothing was decided."
            raise CannotGoOn(message, "Run the command again to see how it stands.", code="review_stale")
        return apply(tx, record, Answer(shown.stage, gate, allowed, person(), note), services.clock())

    return services.store.run(work)


def _get_question(tx: "Tx", change: str, stage: str, gate: str | None) -> Question:
    from ..operations.deciding import get_change

    record = get_change(tx, change)
    question = find_question(tx, record, stage, gate)
    if question is None and stage != "land" and record.find_stage(stage) is None:
        raise Refused(refusals.unknown_stage(change, stage, [*(found.name for found in record.stages), "land"]))
    if question is None:
        which = f" of gate '{gate}'" if gate else ""
        raise Refused(refusals.unknown_attempt(change, stage, f"no open question{which} to answer"))
    return question
