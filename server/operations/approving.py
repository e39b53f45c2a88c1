"""Take a person's approval in, or their no: of exactly the commit and the target that they saw.

What was shown is looked at once more in the transaction that records it, and the signature, the person and the names of
whoever made the artifact with it. Evidence of a decided gate is kept in the same transaction.
"""

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ...gates.machine.approvals import OpenApproval, approval_of, open_approvals_of
from ...gates.machine.commands import Approve
from ...gates.machine.independence import as_compared
from ...gates.policy import Policy, find_gate
from ...schemas import decisions as d
from ...schemas import refusals
from ...schemas.ids import LAND
from ...schemas.records import Approval, ChangeRecord
from ...schemas.refusals import Refusal, Refused
from ..identity.principals import subject_of
from ..people.known import Person, Proof
from ..people.signatures import SIGNERS_BYTES_MAX, armour_of, statement, verify
from ..services import Services
from .answered import record_approval
from .deciding import apply, get_change
from .people import decide_once, request_of
from .repeating import Request

if TYPE_CHECKING:
    from ..store.tx import Tx


def find_asked(tx: "Tx", change: str, stage: str, gate: str | None) -> OpenApproval | Refusal:
    """The approval that is asked for, the only one or the one that is named; or why there is none.

    Raises `Refused` for a change that there is not.
    """
    record = get_change(tx, change)
    if stage != LAND and record.find_stage(stage) is None:
        return refusals.unknown_stage(change, stage, [*(found.name for found in record.stages), LAND])
    waiting = [asked for asked in open_approvals_of(record) if asked.stage == stage and gate in (None, asked.gate)]
    if len(waiting) == 1:
        return waiting[0]
    if waiting:
        names = ", ".join(asked.gate for asked in waiting)
        return refusals.bad_argument(f"'{stage}' of {change} waits for several approvals; name one by --gate: {names}")
    which = f" by gate '{gate}'" if gate else ""
    return refusals.unknown_attempt(change, stage, f"no approval open{which}: nothing waits for one now")


def pinned_policy(services: Services, change: str) -> Policy:
    """The policy that the change is pinned to. Blocking: git is asked."""
    record = services.store.read(lambda tx: get_change(tx, change))
    return services.policies.at(record.policy.commit)


def signers_of(services: Services, policy: Policy, asked: OpenApproval) -> bytes | None:
    """The file of those who may sign, as the policy's commit has it; None when the gate counts secrets.

    Never from the artifact or a working tree. Raises `Refused` when that commit has no such file. Blocking.
    """
    gate = find_gate(policy.pipeline, asked.stage, asked.gate)
    assert gate is not None, "what is asked is a gate of the policy"
    path = gate.options.get("signers")
    if path is None:
        return None
    data = services.artifacts.read(policy.commit, str(PurePosixPath(str(path))), SIGNERS_BYTES_MAX)
    if data is None:
        raise Refused(refusals.signers_missing(str(path), policy.commit, asked.gate))
    return data


def approve(
    services: Services,
    asked: OpenApproval,
    person: Person,
    policy: Policy,
    *,
    is_given: bool,
    note: str,
    request: Request | None,
) -> ChangeRecord:
    """Record the word of a person who was authenticated. Raises `Refused`, and then nothing was decided. Blocking."""

    def effect(tx: "Tx") -> None:
        record = get_change(tx, asked.change)
        _require_another(_unchanged(record, asked, policy), person)
        command = Approve(
            stage=asked.stage,
            gate=asked.gate,
            person=person.principal,
            how=person.how,
            commit=asked.commit,
            target=asked.target,
            is_given=is_given,
            note=note,
            signature=person.signature,
        )
        after = apply(tx, record, command, services.clock())
        approval = approval_of(command, asked.gate, after.touched_at)
        record_approval(tx, record, approval, asked.stage, policy)

    def work(tx: "Tx") -> ChangeRecord:
        record = decide_once(tx, services, asked.change, person, lambda: effect(tx), request=request)
        if request is not None and _is_unheard(record, asked, person):
            # The key was used about another commit: nobody is to believe that this one was decided about.
            raise Refused(refusals.idempotency_conflict(request.key or ""))
        return record

    return services.store.run(work)


def decide_approval(services: Services, decision: d.Approval, person: Person | None, *, is_given: bool) -> ChangeRecord:
    """What `approve` and `reject` do, at a terminal or over HTTP: of exactly what was shown, and of nothing else.

    `person` is who was authenticated; None where the signature alone says who it is. Raises `Refused`, and then nothing
    was decided. Blocking.
    """
    found = services.store.read(lambda tx: find_asked(tx, decision.change, decision.stage, decision.gate))
    if isinstance(found, Refusal) or decision.shown is None:
        return _told_again(services, decision, person, found, is_given=is_given)
    policy = pinned_policy(services, found.change)
    shown = decision.shown
    if policy.digest != shown.policy:
        raise Refused(refusals.approval_stale(found.change, found.stage, found.commit))
    asked = replace(found, number=shown.number, commit=shown.commit, target=shown.target)
    person = _known(services, decision, person, asked, policy, is_given=is_given)
    request = _request(decision, person, is_given=is_given)
    return approve(services, asked, person, policy, is_given=is_given, note=decision.note, request=request)


def _told_again(
    services: Services,
    decision: d.Approval,
    person: Person | None,
    found: OpenApproval | Refusal,
    *,
    is_given: bool,
) -> ChangeRecord:
    """Nothing that was shown waits for it: by the key it may have been done before. Raises `Refused` otherwise."""
    refusal = found
    if isinstance(refusal, OpenApproval):
        refusal = refusals.approval_stale(decision.change, decision.stage, refusal.commit)
    if decision.key is None:
        raise Refused(refusal)
    if decision.signed is not None:
        # Nothing is done in this name: it only says whose key it was.
        person = Person(decision.signed.identity, Proof.SIGNATURE)
    assert person is not None, "who signs nothing was authenticated"
    by = person

    def never_done() -> None:
        raise Refused(refusal)

    request = _request(decision, by, is_given=is_given)
    return services.store.run(lambda tx: decide_once(tx, services, decision.change, by, never_done, request=request))


def _known(
    services: Services,
    decision: d.Approval,
    person: Person | None,
    asked: OpenApproval,
    policy: Policy,
    *,
    is_given: bool,
) -> Person:
    """Who decides: by a signature where the gate counts signatures, and never by one where it does not."""
    command = f"gatewright {_command(is_given=is_given)} {asked.change} {asked.stage}"
    signers = signers_of(services, policy, asked)
    if decision.signed is None:
        if signers is not None:
            raise Refused(refusals.signature_alone(asked.gate, command))
        assert person is not None, "who signs nothing was authenticated"
        return person
    if signers is None:
        raise Refused(refusals.secret_alone(asked.gate, command))
    text = statement(asked, is_given=is_given, note=decision.note)
    identity, signature = decision.signed.identity, decision.signed.signature.encode()
    key = verify(text, signature=signature, signers=signers, identity=identity)
    return Person(identity, Proof.SIGNATURE, key, armour_of(signature))


def _request(decision: d.Approval, person: Person, *, is_given: bool) -> Request | None:
    return request_of(_command(is_given=is_given), decision, person)


def _command(*, is_given: bool) -> str:
    return "approve" if is_given else "reject"


def _is_unheard(record: ChangeRecord, shown: OpenApproval, person: Person) -> bool:
    """Whether what was shown still waits, and this person has said nothing about it."""
    return any(
        (asked.stage, asked.gate, asked.number) == (shown.stage, shown.gate, shown.number)
        and all(approval.person != person.principal for approval in asked.given)
        for asked in open_approvals_of(record)
    )


def _unchanged(record: ChangeRecord, shown: OpenApproval, policy: Policy) -> OpenApproval:
    """What was shown, as it is now: the same attempt, commit, target and policy. Approvals of others may have come."""
    open_now = [asked for asked in open_approvals_of(record) if (asked.stage, asked.gate) == (shown.stage, shown.gate)]
    commit = open_now[0].commit if open_now else None
    is_same = bool(open_now) and (
        (open_now[0].number, open_now[0].commit, open_now[0].target) == (shown.number, shown.commit, shown.target)
    )
    if not is_same or record.policy.digest != policy.digest:
        raise Refused(refusals.approval_stale(shown.change, shown.stage, commit))
    return open_now[0]


def _require_another(asked: OpenApproval, person: Person) -> None:
    """Nobody approves what was made under their own name or token, nor twice: with one key, or by two channels."""
    subjects = {subject for maker in asked.makers if (subject := subject_of(maker.principal)) is not None}
    if {*map(as_compared, person.names)} & {*map(as_compared, (*asked.holders, *subjects))}:
        raise Refused(refusals.own_work(asked.change, asked.stage, "approve"))
    if any(_is_by_token(person.principal, given.person) and _is_one(person, given) for given in asked.given):
        raise Refused(refusals.already_approved(asked.change, asked.stage, f"'{person.name}'"))
    if person.proof is Proof.SIGNATURE and any(approval.how == person.how for approval in asked.given):
        raise Refused(refusals.already_approved(asked.change, asked.stage, f"Key {person.key}"))


def _is_by_token(*principals: str) -> bool:
    return any(subject_of(principal) is not None for principal in principals)


def _is_one(person: Person, given: Approval) -> bool:
    """Whether an approval was given under one of the person's names."""
    return as_compared(given.person.partition(":")[2]) in {*map(as_compared, person.names)}
