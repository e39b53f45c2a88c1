"""`gatewright approve` and `gatewright reject`: a person's word about one commit, by secret, signature or token.

A gate that names `signers` counts signatures alone, any other the secrets of registered people and tokens alone: so one
person cannot count twice by two channels, and who may sign is for the trusted branch to say, not for this machine.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...schemas import refusals
from ...schemas.decisions import Approval, ApprovalAsked, Asking, Decided, Signed
from ...schemas.refusals import Refused
from .asking import add_key, plain, require_person
from .command import CannotGoOn, Exit, UsageError
from .desks import Desk, decision_of, desk_of, shown_or_repeated
from .terminal import Terminal


def configure(command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("change", metavar="CHANGE")
    parser.add_argument("stage", metavar="STAGE", help="a stage, or land")
    parser.add_argument("--gate", metavar="GATE", help="which approval, when several are asked for")
    text = "why; kept" if command == "approve" else "why; kept, and shown to the next holder"
    parser.add_argument("--note", metavar="TEXT", type=plain, default="", help=text)
    parser.add_argument("--diff", action="store_true", help="print the whole diff, and decide nothing")
    parser.add_argument("--statement", action="store_true", help="print what is to be signed, and decide nothing")
    parser.add_argument(
        "--signature", metavar="FILE", help="the statement's signature, as `ssh-keygen -Y sign` makes it"
    )
    parser.add_argument("--as", metavar="IDENTITY", dest="identity", help="who signed, as the file of signers says it")
    add_key(parser)


def run(command: str, options: Namespace, terminal: Terminal) -> int:
    """Show what is approved, know who approves it, and record it."""
    if (options.signature is None) != (options.identity is None):
        raise UsageError("--signature FILE and --as IDENTITY go together")
    asking = decision_of(Asking, command=command, change=options.change, stage=options.stage, gate=options.gate)
    with desk_of(options, terminal) as desk:
        if options.diff:
            terminal.say(desk.diff(asking))
            return Exit.OK
        asked = shown_or_repeated(lambda: desk.approval(asking), None if options.statement else options.key)
        if options.statement:
            assert asked is not None, "without a key nothing is repeated"
            terminal.write_data(_statement(command, asked, options))
            return Exit.OK
        decided = _decide(command, options, desk, asked, terminal)
    said = "Approved" if command == "approve" else "Rejected"
    terminal.say(f"{said}. {decided.change}: {decided.stages_told}.", "green")
    return Exit.OK


def _statement(command: str, asked: ApprovalAsked, options: Namespace) -> str:
    from ..people.signatures import statement

    return statement(asked, is_given=command == "approve", note=options.note)


def _decide(command: str, options: Namespace, desk: Desk, asked: ApprovalAsked | None, terminal: Terminal) -> Decided:
    named = f"gatewright {command} {options.change} {options.stage}"
    decision = decision_of(
        Approval,
        change=options.change,
        stage=options.stage,
        gate=options.gate,
        note=options.note,
        key=options.key,
        shown=None if asked is None else asked.shown,
        signed=None if options.signature is None else _signed(options),
    )
    person = None
    if decision.signed is None:
        if asked is not None and asked.is_signed:
            raise Refused(refusals.signature_alone(asked.gate, named))
        require_person(terminal, named)
        if asked is not None:
            _show(asked, terminal)
        person = desk.approver(command)
    return desk.decide(command, decision, person)


def _signed(options: Namespace) -> Signed:
    from ..people.signatures import SIGNATURE_BYTES_MAX

    with Path(options.signature).open("rb") as file:
        signature = file.read(SIGNATURE_BYTES_MAX + 1)
    if len(signature) > SIGNATURE_BYTES_MAX:
        raise CannotGoOn(
            f"{options.signature} is no signature: it is too large.", "Give the .sig file.", code="too_large"
        )
    return decision_of(Signed, identity=options.identity, signature=signature.decode("ascii", "replace"))


def _show(asked: ApprovalAsked, terminal: Terminal) -> None:
    """What is to be approved, what it changes and what the gates found."""
    from ...gates.text import number_of

    terminal.say(asked.question, "bold")
    terminal.say(asked.about)
    for given in asked.given:
        terminal.say(given)
    terminal.say(f"\n{number_of(asked.changes_total, 'files')} of {asked.base[:10]}..{asked.commit[:10]}:", "bold")
    for change in asked.changes:
        terminal.say(f"  {change.how:<8} {change.path}")
    if asked.changes_total > len(asked.changes):
        terminal.say(f"  and {asked.changes_total - len(asked.changes)} more")
    terminal.say("\nWhat the gates found:", "bold")
    for found in asked.found:
        terminal.say(f"  {found.gate}: {found.outcome}, {found.summary}")
    terminal.say(f"The whole diff: gatewright approve {asked.change} {asked.stage} --gate {asked.gate} --diff", "dim")
    terminal.say()
