"""`gatewright answer`: a person reads what a gate asks about a commit, and allows or refuses it.

The answer is for the question that was shown: when the attempt has been replaced meanwhile, nothing is decided.
"""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from ...gates.commands import Answer
from ...schemas import refusals
from ...schemas.ids import LAND
from ...schemas.refusals import Refusal, Refused
from .asking import add_key, authenticate, confirm_by_typing, plain, request_of, require_person
from .command import CannotGoOn, Exit
from .opening import services_of
from .questions import Question, find_question
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.records import ChangeRecord
    from ..operations.repeating import Request
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
    parser.add_argument(
        "--note", metavar="TEXT", type=plain, default="", help="why; kept, and shown to the next holder"
    )
    add_key(parser)


def run(command: str, options: Namespace, terminal: Terminal) -> int:
    """Show the question, have the decision typed, and record it."""
    require_person(terminal, f"gatewright answer {options.change} {options.stage}")
    with services_of(options) as services:
        found = services.store.read(lambda tx: _find_question(tx, options))
        if isinstance(found, Refusal) and options.key is None:
            raise Refused(found)
        if isinstance(found, Question):
            _show(found, terminal)
        note, allowed = _decision(found, options, terminal)
        what = f"{'allow' if allowed else 'refuse'} it"
        person = authenticate(
            terminal, services, what, otherwise=lambda: confirm_by_typing(terminal, options.stage, what)
        )
        answer = Answer(options.stage, options.gate, allowed, person.by, note)
        asked = Namespace(**{**vars(options), "allow": allowed, "refuse": not allowed, "note": note})
        record = _record(services, options.change, found, answer, request_of(command, asked, person))
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
    if not question.is_escalation and question.stage != LAND:
        terminal.say(f"The whole diff: gatewright read {question.change} {question.stage} diff", "dim")


def _decision(found: Question | Refusal, options: Namespace, terminal: Terminal) -> tuple[str, bool]:
    """What to note, and whether it is allowed; an escalated question is answered in words, a dispute is decided."""
    is_open = isinstance(found, Question) and found.is_escalation and not found.is_dispute
    if is_open and not options.refuse:
        return options.note or terminal.ask("Your answer:"), True
    if options.allow or options.refuse:
        return options.note, bool(options.allow)
    typed = terminal.ask("allow or refuse?").lower()
    if typed not in ("allow", "refuse"):
        raise CannotGoOn("Nothing was decided.", "Type allow or refuse.", code="not_confirmed")
    return options.note, typed == "allow"


def _record(
    services: "Services", change: str, shown: Question | Refusal, answer: Answer, request: "Request | None"
) -> "ChangeRecord":
    """Record the answer in one transaction with a look at whether the question is still the one that was shown."""
    from ..operations.deciding import apply, get_change
    from ..operations.people import decide_once

    def work(tx: "Tx") -> "ChangeRecord":
        record = decide_once(tx, services, change, request, lambda: effect(tx))
        if isinstance(shown, Question) and request is not None and _is_open(tx, record, shown, answer):
            # The key was used about another question: nobody is to believe that this one was answered.
            raise Refused(refusals.idempotency_conflict(request.key or ""))
        return record

    def effect(tx: "Tx") -> None:
        if isinstance(shown, Refusal):
            raise Refused(shown)
        record = get_change(tx, change)
        if not _is_open(tx, record, shown, answer):
            message = "While you were reading, the attempt was replaced or answered; nothing was decided."
            raise CannotGoOn(message, "Run the command again to see how it stands.", code="review_stale")
        apply(tx, record, answer, services.clock())

    return services.store.run(work)


def _is_open(tx: "Tx", record: "ChangeRecord", shown: Question, answer: Answer) -> bool:
    now_open = find_question(tx, record, shown.stage, answer.gate)
    return now_open is not None and (now_open.subject, now_open.gates) == (shown.subject, shown.gates)


def _find_question(tx: "Tx", options: Namespace) -> Question | Refusal:
    """The open question, or why there is none; raises `Refused` for a change that there is not."""
    from ..operations.deciding import get_change

    stage, gate = options.stage, options.gate
    record = get_change(tx, options.change)
    question = find_question(tx, record, stage, gate)
    if question is not None:
        return question
    if stage != LAND and record.find_stage(stage) is None:
        return refusals.unknown_stage(record.id, stage, [*(found.name for found in record.stages), LAND])
    which = f" of gate '{gate}'" if gate else ""
    return refusals.unknown_attempt(record.id, stage, f"no open question{which} to answer")
