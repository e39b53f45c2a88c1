"""`gatewright approve` and `gatewright reject`: a person's word about one commit, by their secret or their signature.

A gate that names `signers` counts signatures alone, any other the secrets of registered people alone: so one person
cannot count twice by two channels, and who may sign is for the trusted branch to say, not for this machine.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ...gates.machine.approvals import OpenApproval
from ...schemas import refusals
from ...schemas.ids import LAND
from ...schemas.refusals import Refusal, Refused
from ..people.known import Person, Proof
from .asking import add_key, plain, prove, request_of, require_person
from .command import CannotGoOn, Exit, UsageError
from .opening import services_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.records import ChangeRecord
    from ..services import Services
    from ..store.tx import Tx

PATHS_SHOWN_MAX = 30
NOTE_CHARS_MAX = 1_000


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
    if len(options.note) > NOTE_CHARS_MAX:
        raise UsageError(f"a note has at most {NOTE_CHARS_MAX} characters")
    with services_of(options) as services:
        found = services.store.read(lambda tx: _find(tx, options))
        if options.statement or options.diff:
            if isinstance(found, Refusal):
                raise Refused(found)
            if options.diff:
                terminal.say(services.artifacts.diff(found.base, found.commit))
            else:
                terminal.write_data(_statement(command, found, options))
            return Exit.OK
        record = _decide(command, options, services, found, terminal)
    stages = ", ".join(f"{stage.name} {stage.state.replace('_', ' ')}" for stage in record.stages)
    terminal.say(f"{'Approved' if command == 'approve' else 'Rejected'}. {record.id}: {stages}.", "green")
    return Exit.OK


def _find(tx: "Tx", options: Namespace) -> OpenApproval | Refusal:
    from ..operations.approving import find_asked

    return find_asked(tx, options.change, options.stage, options.gate)


def _statement(command: str, found: OpenApproval, options: Namespace) -> str:
    from ..people.signatures import statement

    return statement(found, is_given=command == "approve", note=options.note)


def _decide(
    command: str, options: Namespace, services: "Services", found: OpenApproval | Refusal, terminal: Terminal
) -> "ChangeRecord":
    from ..operations.approving import approve, pinned_policy, signers_of

    if isinstance(found, Refusal):
        return _told_again(command, options, services, found, terminal)
    policy = pinned_policy(services, found.change)
    signers = signers_of(services, policy, found)
    if options.signature is None:
        if signers is not None:
            raise Refused(refusals.signature_alone(found.gate, _named(command, found.change, found.stage)))
        person = _at_terminal(command, services, found, terminal)
    else:
        if signers is None:
            raise Refused(refusals.secret_alone(found.gate, _named(command, found.change, found.stage)))
        person = _signed(command, options, found, signers)
    request = request_of(command, options, person)
    given = command == "approve"
    return approve(services, found, person, policy, is_given=given, note=options.note, request=request)


def _told_again(
    command: str, options: Namespace, services: "Services", found: Refusal, terminal: Terminal
) -> "ChangeRecord":
    """Nothing waits for it: by the key it may have been done before. Raises `Refused` with what was found otherwise."""
    from ..operations.people import decide_once

    if options.key is None:
        raise Refused(found)
    if options.signature is None:
        require_person(terminal, _named(command, options.change, options.stage))
        person = prove(services, terminal.ask("Say who you are:"))
    else:
        # Nothing is done in this name: it only says whose key it was.
        person = Person(options.identity, Proof.SIGNATURE)

    def never_done() -> None:
        raise Refused(found)

    request = request_of(command, options, person)
    return services.store.run(lambda tx: decide_once(tx, services, options.change, person, never_done, request=request))


def _at_terminal(command: str, services: "Services", asked: OpenApproval, terminal: Terminal) -> Person:
    from ..people.register import read_people

    require_person(terminal, _named(command, asked.change, asked.stage))
    people = services.store.read(read_people)
    if not people:
        raise Refused(refusals.nobody_registered())
    _show(services, asked, terminal)
    name = terminal.ask(f"Say who you are, to {command} it ({', '.join(people)}):")
    return prove(services, name)


def _signed(command: str, options: Namespace, asked: OpenApproval, signers: bytes) -> Person:
    from ..people.signatures import SIGNATURE_BYTES_MAX, armour_of, statement, verify

    with Path(options.signature).open("rb") as file:
        signature = file.read(SIGNATURE_BYTES_MAX + 1)
    if len(signature) > SIGNATURE_BYTES_MAX:
        raise CannotGoOn(
            f"{options.signature} is no signature: it is too large.", "Give the .sig file.", code="too_large"
        )
    text = statement(asked, is_given=command == "approve", note=options.note)
    key = verify(text, signature=signature, signers=signers, identity=options.identity)
    return Person(options.identity, Proof.SIGNATURE, key, armour_of(signature))


def _show(services: "Services", asked: OpenApproval, terminal: Terminal) -> None:
    """What is to be approved, what it changes and what the gates found."""
    from ...gates.text import number_of
    from ..operations.evidence import gate_reply

    terminal.say(f"{asked.question}", "bold")
    made = ", ".join(f"'{holder}'" for holder in asked.holders)
    what = "the merge of" if asked.stage == LAND else f"attempt {asked.number} of '{asked.stage}' of"
    terminal.say(f"It is {what} {asked.change}, made by {made}; gate '{asked.gate}'.")
    for approval in asked.given:
        terminal.say(f"Approved so far by {approval.person} ({approval.how}).")
    changes = services.artifacts.changes(asked.base, asked.commit)
    terminal.say(f"\n{number_of(len(changes), 'files')} of {asked.base[:10]}..{asked.commit[:10]}:", "bold")
    for change in changes[:PATHS_SHOWN_MAX]:
        mark = "added" if change.old_oid is None else "removed" if change.new_oid is None else "changed"
        terminal.say(f"  {mark:<8} {change.path}")
    if len(changes) > PATHS_SHOWN_MAX:
        terminal.say(f"  and {len(changes) - PATHS_SHOWN_MAX} more")
    terminal.say("\nWhat the gates found:", "bold")
    for item in services.store.read(lambda tx: tx.evidence_of(asked.evaluation)):
        reply = gate_reply(item.evidence)
        terminal.say(f"  {reply.gate}: {reply.outcome}, {reply.summary}")
    terminal.say(f"The whole diff: {_named('approve', asked.change, asked.stage)} --gate {asked.gate} --diff", "dim")
    terminal.say()


def _named(command: str, change: str, stage: str) -> str:
    return f"gatewright {command} {change} {stage}"
