"""Reports in JSON that mean harm, or nothing: read in bounds, told in clean words, or refused."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.gates.reports import ReportUnreadable
from gatewright.gates.reports.hostile_json import JSON_BYTES_MAX
from gatewright.gates.reports.reported import ITEMS_MAX, Report
from gatewright.gates.reports.sarif import parse_sarif

from .report_samples import ENTRY, PAGE, PARSERS, RESULT, dump, located, sarif

HOSTILE = [
    b"",
    b" \n",
    b"{",
    b"null",
    b"3",
    b'"text"',
    b'{"a": 1, "a": 2}',
    b"[NaN]",
    b"[Infinity]",
    b"[-Infinity]",
    b"[1e999]",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b"[" + b"9" * 100_000 + b"]",
    b"\xff\xfe[]",
    b'["\xff"]',
    b"[[]]",
    b"[{}]",
    b'{"version": "2.1.0", "runs": [{}]} trailing',
    b'{"version": "2.1.0"} {"version": "2.1.0"}',
    b'{"version": "2.1.0", "runs": {}}',
    b"[" + b"[]," * 1_500_000 + b"[]]",
    b"[" + b" " * JSON_BYTES_MAX + b"]",
]


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("data", HOSTILE, ids=[f"{data[:20]!r}x{len(data)}" for data in HOSTILE])
def test_what_is_no_report_is_refused_in_one_clean_sentence_and_soon(name: str, data: bytes) -> None:
    began = time.process_time()

    with pytest.raises(ReportUnreadable) as refused:
        PARSERS[name](data)

    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300
    assert time.process_time() - began < 3


BAD_TEXT = "a\x1b[31m\u202eb\ud800\x00\u200bc"


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("ruff", [{**ENTRY, "filename": BAD_TEXT, "code": BAD_TEXT, "message": BAD_TEXT}]),
        (
            "eslint",
            [{"filePath": BAD_TEXT, "messages": [{"ruleId": BAD_TEXT, "severity": 2, "message": BAD_TEXT}]}],
        ),
        ("gatewright", {**PAGE, "findings": [dict.fromkeys(("path", "rule", "message", "satisfy"), BAD_TEXT)]}),
        (
            "sarif",
            {
                "version": "2.1.0",
                "runs": [
                    {
                        "tool": {"driver": {"name": "t"}},
                        "results": [
                            {"ruleId": BAD_TEXT, "message": {"text": BAD_TEXT}, "locations": [located(BAD_TEXT)]}
                        ],
                    }
                ],
            },
        ),
    ],
)
def test_what_a_report_says_is_clean(name: str, report: object) -> None:
    (found,) = PARSERS[name](dump(report)).items

    for text in (found.path, found.rule, found.message, found.satisfy or "abc"):
        assert text is not None
        assert text.replace("\ufffd", "") == "abc"


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("ruff", b"[" + b",".join([dump(ENTRY)] * (ITEMS_MAX + 1)) + b"]"),
        ("gatewright", dump({**PAGE, "findings": [{"message": "m"}] * (ITEMS_MAX + 1)})),
        ("sarif", sarif(*[RESULT] * (ITEMS_MAX + 1))),
    ],
)
def test_more_than_anybody_compares_is_refused_and_not_cut(name: str, report: bytes) -> None:
    with pytest.raises(ReportUnreadable, match="more than"):
        PARSERS[name](report)


KEYS = (
    "version runs results tool driver name message text level locations physicalLocation artifactLocation uri uriBaseId"
    " originalUriBaseIds region startLine rules ruleIndex rule index artifacts invocations filename code location row"
    " filePath messages severity finished counted findings path line arguments id"
).split()
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(["2.1.0", "error", "a.py"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=30,
)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=40)
@given(JSON)
def test_any_document_is_a_report_or_refused(name: str, document: object) -> None:
    for report in (document, {"version": "2.1.0", "runs": [document]}, [document], {**PAGE, "findings": [document]}):
        with suppress(ReportUnreadable):
            assert isinstance(PARSERS[name](dump(report)), Report)


@settings(max_examples=40)
@given(JSON)
def test_any_run_and_any_result_of_sarif_is_read_or_refused(document: object) -> None:
    run = document if isinstance(document, dict) else {}
    with suppress(ReportUnreadable):
        assert isinstance(parse_sarif(sarif(document, {**RESULT, **run})), Report)
    with suppress(ReportUnreadable):
        assert isinstance(parse_sarif(sarif(**{"results": [RESULT], **run})), Report)
