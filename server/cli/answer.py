"""`gatewright answer`: a person reads what a gate asks about a commit, and allows or refuses it.

The answer is for the question that was shown: when the attempt has been replaced meanwhile, nothing is decided.
"""

from argparse import ArgumentParser, Namespace

from ...schemas.decisions import Answer, Asking, QuestionAsked
from ...schemas.ids import LAND
from .asking import add_key, confirm_by_typing, plain, require_person
from .command import CannotGoOn, Exit
from .desks import decision_of, desk_of, shown_or_repeated
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
    require_person(terminal, f"gatewright answer {options.change} {options.stage}")
    asking = decision_of(Asking, command=command, change=options.change, stage=options.stage, gate=options.gate)
    with desk_of(options, terminal) as desk:
        asked = shown_or_repeated(lambda: desk.question(asking), options.key)
        if asked is not None:
            _show(asked, terminal)
        note, allowed = _decision(asked, options, terminal)
        what = f"{'allow' if allowed else 'refuse'} it"
        decision = decision_of(
            Answer,
            change=options.change,
            stage=options.stage,
            gate=options.gate,
            allow=allowed,
            note=note,
            key=options.key,
            shown=None if asked is None else asked.shown,
        )
        person = desk.known(what, otherwise=lambda: confirm_by_typing(terminal, options.stage, what))
        decided = desk.decide(command, decision, person)
    terminal.say(f"Answered. {decided.change}: {decided.stages_told}{decided.landing_told}.", "green")
    return Exit.OK


def _show(question: QuestionAsked, terminal: Terminal) -> None:
    terminal.say(f"About {question.about}", "bold")
    for text in question.texts:
        terminal.say()
        terminal.say(text)
    terminal.say()
    if not question.is_escalation and question.stage != LAND:
        terminal.say(f"The whole diff: gatewright read {question.change} {question.stage} diff", "dim")


def _decision(asked: QuestionAsked | None, options: Namespace, terminal: Terminal) -> tuple[str, bool]:
    """What to note, and whether it is allowed; an escalated question is answered in words, a dispute is decided."""
    is_open = asked is not None and asked.is_escalation and not asked.is_dispute
    if is_open and not options.refuse:
        return options.note or terminal.ask("Your answer:"), True
    if options.allow or options.refuse:
        return options.note, bool(options.allow)
    typed = terminal.ask("allow or refuse?").lower()
    if typed not in ("allow", "refuse"):
        raise CannotGoOn("Nothing was decided.", "Type allow or refuse.", code="not_confirmed")
    return options.note, typed == "allow"
