"""Read what a program that reviews answers: one JSON document. Pure.

docs/gates.md describes it. It is strict: a misspelt key must not become a finding that nobody sees.
"""

from dataclasses import dataclass

from ...schemas.records import BLOCKING, MINOR, REMARK
from ..judging.objections import INSPECTED_MAX, Objection, is_rejected
from .hostile_json import JsonObject, as_object, objects_of, read_json, text_of, texts_of, whole_of
from .reported import LINE_MAX, ReportUnreadable, check_number, plain_line, plain_message

KEYS = ("findings", "inspected", "verdict")
FINDING_KEYS = ("severity", "path", "line", "message")
SEVERITIES = (BLOCKING, MINOR, REMARK)
APPROVE, REJECT = "approve", "reject"
FINDINGS_MAX = 200
KEY_CHARS_MAX = 40
INSPECTED_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, in the program's order, and what it says it looked at."""

    objections: tuple[Objection, ...]
    inspected: tuple[str, ...]


def parse_review(data: bytes) -> Answer:
    """The answer. Raises `ReportUnreadable`, also when its verdict does not follow from its findings."""
    page = as_object(read_json(data), "The answer")
    _refuse_others(page, KEYS, "The answer")
    if not isinstance(page.get("findings"), list):
        raise ReportUnreadable("The answer needs 'findings', a list.")
    findings, inspected = objects_of(page, "findings"), texts_of(page, "inspected")
    check_number(len(findings))
    if len(findings) > FINDINGS_MAX or len(inspected) > INSPECTED_MAX:
        raise ReportUnreadable(f"The answer has more than {FINDINGS_MAX} findings or {INSPECTED_MAX} inspected.")
    objections = tuple(_objection(finding) for finding in findings)
    _refuse_contradiction(text_of(page, "verdict", None), objections)
    return Answer(objections, tuple(plain_line(text, INSPECTED_CHARS_MAX) for text in inspected))


def _objection(finding: JsonObject) -> Objection:
    _refuse_others(finding, FINDING_KEYS, "A finding")
    severity, message = text_of(finding, "severity", ""), plain_message(text_of(finding, "message", ""))
    if severity not in SEVERITIES:
        raise ReportUnreadable(f"The severity of a finding is none of {', '.join(SEVERITIES)}.")
    if not message:
        raise ReportUnreadable("A finding has no message.")
    line = whole_of(finding, "line", least=1, most=LINE_MAX)
    return Objection(severity, text_of(finding, "path", None), line, message)


def _refuse_contradiction(verdict: str | None, objections: tuple[Objection, ...]) -> None:
    if verdict not in (None, APPROVE, REJECT):
        raise ReportUnreadable(f"The verdict is neither '{APPROVE}' nor '{REJECT}'; it may be left out.")
    if verdict == APPROVE and is_rejected(objections):
        raise ReportUnreadable("It approves and has a blocking finding: the verdict follows from the findings.")
    if verdict == REJECT and not is_rejected(objections):
        raise ReportUnreadable("It rejects without a blocking finding: the verdict follows from the findings.")


def _refuse_others(owner: JsonObject, keys: tuple[str, ...], called: str) -> None:
    other = next((key for key in owner if key not in keys), None)
    if other is not None:
        raise ReportUnreadable(f"{called} has an unknown key '{plain_line(other, KEY_CHARS_MAX)}'.")
