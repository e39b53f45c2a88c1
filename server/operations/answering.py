"""Take a person's answer in: to exactly the question that they were shown.

What was shown is looked at once more in the transaction that records the answer, and the person with it: when the
attempt was replaced meanwhile, nothing is decided.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from ...gates.machine.commands import Answer
from ...gates.machine.precedence import refuse_change
from ...schemas import decisions as d
from ...schemas import refusals
from ...schemas.ids import LAND
from ...schemas.records import ChangeRecord
from ...schemas.refusals import Refusal, Refused
from ..people.known import Person, Proof
from ..services import Services
from .deciding import apply, get_change
from .makers import has_held
from .people import decide_once, request_of
from .questions import Question, find_question
from .repeating import Request

if TYPE_CHECKING:
    from ..store.tx import Tx


def find_asked(tx: "Tx", change: str, stage: str, gate: str | None) -> Question | Refusal:
    """The open question, or why there is none; raises `Refused` for a change that there is not."""
    record = get_change(tx, change)
    question = find_question(tx, record, stage, gate)
    if question is not None:
        return question
    if refusal := refuse_change(record):
        return refusal
    if stage != LAND and record.find_stage(stage) is None:
        return refusals.unknown_stage(record.id, stage, [*(found.name for found in record.stages), LAND])
    which = f" of gate '{gate}'" if gate else ""
    return refusals.unknown_attempt(record.id, stage, f"no open question{which} to answer")


def decide_answer(services: Services, decision: d.Answer, person: Person) -> ChangeRecord:
    """What `answer` does, at a terminal or over HTTP: to exactly what was shown. Raises `Refused`. Blocking."""
    found = services.store.read(lambda tx: find_asked(tx, decision.change, decision.stage, decision.gate))
    command = Answer(decision.stage, decision.gate, decision.allow, person.by, decision.note)
    request = request_of("answer", decision, person)
    if isinstance(found, Question):
        found = _as_shown(found, decision)
    if isinstance(found, Refusal) and request is None:
        raise Refused(found)
    return answer(services, decision.change, found, person, command, request=request)


def answer(
    services: Services,
    change: str,
    shown: Question | Refusal,
    person: Person,
    command: Answer,
    *,
    request: Request | None,
) -> ChangeRecord:
    """Record the answer of a person who was authenticated. Raises `Refused`, and then nothing was decided. Blocking.

    Where nothing was asked, `shown` says why: by its key it may have been answered before.
    """

    def effect(tx: "Tx") -> None:
        if isinstance(shown, Refusal):
            raise Refused(shown)
        record = get_change(tx, change)
        if not _is_open(tx, record, shown, command):
            raise Refused(refusals.question_replaced(change, shown.stage))
        if person.proof is Proof.TOKEN and has_held(tx, change, shown.stage, person):
            raise Refused(refusals.own_work(change, shown.stage, "answer about"))
        apply(tx, record, command, services.clock())

    def work(tx: "Tx") -> ChangeRecord:
        record = decide_once(tx, services, change, person, lambda: effect(tx), request=request)
        if isinstance(shown, Question) and request is not None and _is_open(tx, record, shown, command):
            # The key was used about another question: nobody is to believe that this one was answered.
            raise Refused(refusals.idempotency_conflict(request.key or ""))
        return record

    return services.store.run(work)


def _as_shown(found: Question, decision: d.Answer) -> Question | Refusal:
    """The question that the person saw, whatever is open now; a refusal when they saw none."""
    shown = decision.shown
    if shown is None:
        return refusals.question_replaced(decision.change, decision.stage)
    return replace(found, subject=shown.subject, gates=shown.gates)


def _is_open(tx: "Tx", record: ChangeRecord, shown: Question, command: Answer) -> bool:
    now_open = find_question(tx, record, shown.stage, command.gate)
    return now_open is not None and (now_open.subject, now_open.gates) == (shown.subject, shown.gates)
