"""`gatewright answer`: a person reads what a gate asks about a commit, and allows or refuses it.

The answer is for the question that was shown: when the attempt has been replaced meanwhile, nothing is decided.
"""

from argparse import ArgumentParser, Namespace

from ...gates.machine.commands import Answer
from ...schemas.ids import LAND
from ...schemas.refusals import Refusal, Refused
from ..operations.questions import Question
from .asking import add_key, authenticate, confirm_by_typing, plain, request_of, require_person
from .command import CannotGoOn, Exit
from .opening import services_of
from .terminal import Terminal


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
    from ..operations.answering import answer, find_asked

    require_person(terminal, f"gatewright answer {options.change} {options.stage}")
    with services_of(options) as services:
        found = services.store.read(lambda tx: find_asked(tx, options.change, options.stage, options.gate))
        if isinstance(found, Refusal) and options.key is None:
            raise Refused(found)
        if isinstance(found, Question):
            _show(found, terminal)
        note, allowed = _decision(found, options, terminal)
        what = f"{'allow' if allowed else 'refuse'} it"
        person = authenticate(
            terminal, services, what, otherwise=lambda: confirm_by_typing(terminal, options.stage, what)
        )
        given = Answer(options.stage, options.gate, allowed, person.by, note)
        asked = Namespace(**{**vars(options), "allow": allowed, "refuse": not allowed, "note": note})
        record = answer(services, options.change, found, person, given, request=request_of(command, asked, person))
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
