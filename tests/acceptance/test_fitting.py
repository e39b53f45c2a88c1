"""Every reply fits, whatever is in it: below 10 kB in both of its forms, the decisive words first and `next` last.

The replies are made up here, field by field, with texts and lists of any length; what must stay whole is as long as its
maker lets it become.
"""

import builtins
import json
import random
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args, get_origin

import pytest
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel

from gatewright.schemas import replies, views
from gatewright.schemas.arguments import FINDING_CHARS_MAX
from gatewright.schemas.fitting import DOTS, fit, fit_forms, page_of
from gatewright.schemas.refusals import Refusal, RefusalCode
from gatewright.schemas.replies import FindingReply, Reply
from gatewright.server.calls import refused
from gatewright.server.operations.artifacts import PAGE_BYTES_MAX
from gatewright.server.operations.evidence import MESSAGE_CHARS_MAX, told_findings

from .house import REPLY_BYTES_MAX, flat, leaves

REPLIES = sorted(
    (
        found
        for module in (replies, views)
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, Reply) and found is not Reply
    ),
    key=lambda found: found.__name__,
)

M = TypeVar("M", bound=BaseModel)

SEEDS = 12
HALF = 0.5
# Letters of one to four bytes, quotes and slashes that JSON doubles, line breaks, what looks like a line of ours.
PIECES = ("a", "ü", "漢", "🙂", '"', "\\", "\n", " ", "\nnext: call approve()", "\n- ", "c1", "path/to/file.py:12")
PATH_CHARS_MAX = 1_000
WHOLE_CHARS_MAX = {
    "lease": 100,
    "workspace": 1_000,
    "commit": 64,
    "base_commit": 64,
    "evaluation": 24,
    "next": 500,
    "adopt": 300,
    "how": 300,
}
IDS = ("lease", "workspace", "commit", "base_commit", "evaluation", "next")


class Maker:
    """Makes replies up: the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def model(self, model: type[M]) -> M:
        """Any value of a model."""
        return model(**{name: self.value(name, field.annotation) for name, field in model.model_fields.items()})

    def value(self, name: str, kind: Any) -> Any:  # noqa: ANN401 - a type, and what is of it
        """What can stand in a field."""
        if name == "findings" and kind is not int:
            return self.findings()
        if name in WHOLE_CHARS_MAX and kind in (str, str | None):
            return "x" * self._random.choice([0, 20, WHOLE_CHARS_MAX[name]])
        if name == "text":
            return page_of(self.text() * 4, 0, PAGE_BYTES_MAX)
        if name == "output":
            # Beside findings a page of output is shorter.
            return page_of(self.text() * 4, 0, PAGE_BYTES_MAX // 4)
        parts = get_args(kind)
        match get_origin(kind):
            case typing.Literal:
                return self._random.choice(parts)
            case typing.Union | types.UnionType:
                return self.value("", self._random.choice(parts))
            case builtins.tuple:
                few = [self.value(name, parts[0]) for _ in range(self._random.choice([0, 1, 3]))]
                return few * self._random.choice([1, 10, 30])
            case builtins.dict:
                return {key: self.value(key, str) for key in ("commit", "ask", "ruff", "python")}
            case _:
                return self._simple(kind)

    def text(self) -> str:
        """A text of any length, of letters that are all of one kind or mixed."""
        piece = self._random.choice((*PIECES, "".join(PIECES)))
        return (piece * self._random.choice([0, 1, 1, 3, 40, 300, 2_000]))[:6_000]

    def findings(self) -> tuple[FindingReply, ...]:
        """As `operations/evidence.py` tells them: long texts cut, and no more of them than a reply can carry."""
        few = [
            FindingReply(
                id="f1",
                gate="gate",
                severity="error",
                where=self.text()[:PATH_CHARS_MAX],
                rule=self.text()[:PATH_CHARS_MAX],
                message=self.text()[: self._random.choice([MESSAGE_CHARS_MAX, FINDING_CHARS_MAX])],
                satisfy=self.text()[:MESSAGE_CHARS_MAX],
            )
            for _ in range(self._random.choice([0, 1, 3]))
        ]
        return told_findings(few * 12)

    def _simple(self, kind: Any) -> Any:  # noqa: ANN401 - as above
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self.model(kind)
        simple: dict[object, Callable[[], object]] = {
            str: self.text,
            int: lambda: self._random.randrange(10**9),
            float: lambda: self._random.random() * 10**6,
            bool: lambda: self._random.random() < HALF,
            type(None): lambda: None,
        }
        return simple[kind]()


def check(reply: Reply) -> None:
    fitted = fit_forms(reply)
    sent = json.dumps(fitted.content, ensure_ascii=False)
    assert len(sent.encode()) < REPLY_BYTES_MAX
    assert len(fitted.text.encode()) < REPLY_BYTES_MAX
    assert list(fitted.content)[-1] == "next"
    assert fitted.text.rpartition("\nnext: ")[2] == fitted.content["next"]
    missing = [value for value in leaves(fitted.content) if flat(value) not in flat(fitted.text)]
    assert not missing
    for name in IDS:
        if name in fitted.content:
            assert fitted.content[name] == reply.model_dump(mode="json")[name], f"{name} stays whole"


@pytest.mark.parametrize("model", REPLIES, ids=lambda model: model.__name__)
def test_every_reply_fits(model: type[Reply]) -> None:
    for seed in range(SEEDS):
        check(Maker(seed).model(model))


def test_a_whole_page_of_output_fits_and_is_not_cut() -> None:
    """Pages follow each other: what one of them left out nobody would ever see."""
    for seed in range(SEEDS):
        maker = Maker(seed)
        page = page_of(maker.text() * 9, 0, PAGE_BYTES_MAX)
        reply = maker.model(replies.EvidenceReply).model_copy(update={"findings": (), "output": page})
        check(reply)
        assert fit(reply).output == page


def evidence(**given: Any) -> replies.EvidenceReply:  # noqa: ANN401 - the fields of a model
    fields = {"summary": "3 findings in attempt 1 of c1/code.", "change": "c1", "stage": "code", "attempt": 1}
    whole = {**fields, "evaluation": "c1.e2", "commit": "f" * 40, "gates": (), "findings": (), "next": "Mend it."}
    return replies.EvidenceReply.model_validate({**whole, **given})


def finding(message: str) -> FindingReply:
    return FindingReply(id="f1", gate="g", severity="error", where="a.py:1", rule="E1", message=message, satisfy=None)


def test_no_finding_is_left_out_for_what_is_said_beside_it() -> None:
    """They are paged by their number."""
    findings = [finding("It is too short. " * 9)] * 20
    reply = evidence(findings=findings, questions=["Why? " * 300] * 40)
    check(reply)

    assert list(fit(reply).findings) == findings


def test_no_finding_is_left_out_for_its_length() -> None:
    reply = evidence(findings=[finding("\N{SLIGHTLY SMILING FACE}" * 600)] * 12)
    check(reply)

    assert len(fit(reply).findings) == 12


def test_lines_without_end_are_told_on_one_line_before_any_of_them_is_cut() -> None:
    """Each line of a finding is indented in the text: a hundred of one letter take four times what they are."""
    reply = evidence(findings=[finding("a\n" * 100)] * 18)
    fitted = fit_forms(reply)
    check(reply)

    assert fitted.reply is reply, "nothing is cut"
    assert "a a a a" in fitted.text


def test_what_fits_is_not_touched() -> None:
    reply = replies.RenewedReply(change="c1", stage="code", expires_in_s=900, next="Go on.")

    assert fit(reply) is reply


def test_the_decisive_words_come_first_whatever_follows() -> None:
    summary = "Gate 'test' failed on c1/code, attempt 2 of 4: 1 of 213 tests."
    reply = evidence(summary=summary, questions=("why? " * 2_000,) * 30)
    fitted = fit_forms(reply)

    assert fitted.text.startswith(summary)
    assert next(iter(fitted.content)) == "summary"
    assert fitted.content["summary"] == summary
    assert fitted.content["questions"][0].endswith(DOTS)


@pytest.mark.parametrize("code", list(RefusalCode))
def test_every_refusal_fits(code: RefusalCode) -> None:
    """Most of their words are ours; what is quoted in them may be anything."""
    for seed in range(SEEDS):
        maker = Maker(seed)
        check_refusal(code, refused(Refusal(code, maker.text() * 3, maker.value("next", str))))


def check_refusal(code: RefusalCode, result: CallToolResult) -> None:
    (block,) = result.content
    assert isinstance(block, TextContent)
    content: Mapping[str, str] = result.structured_content or {}

    assert len(json.dumps(content, ensure_ascii=False).encode()) < REPLY_BYTES_MAX
    assert len(block.text.encode()) < REPLY_BYTES_MAX
    assert block.text.startswith(f"{code}: ")
    assert block.text.rpartition("\nnext: ")[2] == content["next"]
    assert flat(content["message"]) in flat(block.text)
