"""What an agent's work looks like to whoever watches: a tree of spans, and numbers."""

import json
from typing import Any

import pytest
from mcp_types import RequestParamsMeta
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import format_trace_id

from gatewright.server.engine import jobs
from gatewright.server.telemetry.ids import trace_id_of, trace_text_of
from gatewright.server.telemetry.logs import JsonLines
from gatewright.server.telemetry.measures import LEVELS, MEASURES

from ...acceptance.house import PLAN, Repository, check_reply, serving
from .watching import Seen, ids_of, tree_of

pytestmark = pytest.mark.anyio

# The span in which an agent made a call, as its client says it.
CALLING = "ab" * 16
TRACEPARENT = f"00-{CALLING}-{'cd' * 8}-01"
SUB = "def sub(a, b):\n    return a - b\n"
TREE = """\
change landed
  stage plan passed
    unclaimed plan
    lease plan stage_passed
    claim plan
    attempt plan passed
      submit plan
      gate document passed
      gate scope passed
  stage code passed
    unclaimed code
    lease code stage_passed
    claim code
    attempt code failed
      submit code
      gate ok failed
      gate scope passed
    attempt code passed
      submit code
      gate ok passed
      gate scope passed
  landing landed
    gate ok passed"""


@pytest.mark.slow
async def test_a_change_of_two_stages_with_a_failed_attempt_is_one_trace_of_exactly_these_spans(
    seen: Seen, repository: Repository
) -> None:
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN})
        meta: RequestParamsMeta = {"traceparent": TRACEPARENT}  # type: ignore[typeddict-unknown-key]  # any may stand there
        claimed = await ada.client.call_tool("claim_stage", {"agent": "ada"}, meta=meta)
        brief = check_reply("claim_stage", claimed)
        assert await ada.refused("submit_artifact", lease=brief["lease"][:-1] + "x", summary="Work.") == "unknown_lease"
        failed = await ada.submit(brief, {"broken.txt": "x", "sub.py": SUB})
        assert failed["outcome"] == "failed"
        passed = await ada.submit(brief, {"broken.txt": None})
        assert passed["outcome"] == "passed"
        record = await server.landed(change)
        spans = seen.of(record, server.services.store)

        assert tree_of(spans) == TREE.splitlines()
        _links_lead_both_ways(seen, spans, trace_id_of(record))
        _numbers_agree(seen)
    known = {measure.name for measure in (*MEASURES, *LEVELS)}
    assert seen.names() <= known


def _links_lead_both_ways(seen: Seen, spans: list[ReadableSpan], trace_id: int) -> None:
    """From what was done to the call that did it, which lies in its client's own trace, and back to the change."""
    by_id = {ids_of(span)[1]: span for span in seen.spans.get_finished_spans()}
    done = [by_id[span.links[0].context.span_id].name for span in spans if span.links]
    assert sorted(done) == [
        *["tools/call claim_stage"] * 2,
        *["tools/call submit_artifact"] * 3,
    ]
    calls = [span for span in seen.calls() if span.links]
    assert {span.links[0].context.trace_id for span in calls} == {trace_id}
    (claim,) = [span for span in spans if span.name == "claim code"]
    assert format_trace_id(claim.links[0].context.trace_id) == CALLING


def _numbers_agree(seen: Seen) -> None:
    attempts = {
        (labels["gatewright.stage"], labels["gatewright.outcome"]): point.value
        for labels, point in seen.points("gatewright.attempts")
    }
    assert attempts == {("plan", "passed"): 1, ("code", "failed"): 1, ("code", "passed"): 1}
    ((refused, point),) = seen.points("gatewright.refusals")
    assert (refused["gatewright.code"], point.value) == ("unknown_lease", 1)
    ((landed, point),) = seen.points("gatewright.landings")
    assert (landed["gatewright.outcome"], point.value) == ("landed", 1)
    gates = {
        (labels["gatewright.gate.kind"], labels["gatewright.outcome"], labels["gatewright.gate.cached"]): point.count
        for labels, point in seen.points("gatewright.gate.duration")
    }
    assert gates == {
        ("scope", "passed", False): 3,
        ("document", "passed", False): 1,
        ("command", "failed", False): 1,
        ("command", "passed", False): 1,
        ("command", "passed", True): 1,
    }
    assert {labels["gatewright.state"]: point.value for labels, point in seen.points("gatewright.changes")} == {
        "active": 0,
        "landing": 0,
    }


@pytest.mark.slow
async def test_a_line_of_the_log_says_which_change_it_is_about_and_in_which_trace(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonLines())
    make_job, failures = jobs.make_job, [RuntimeError("a defect")]

    def fail_once(*given: Any) -> Any:  # noqa: ANN401 - passed on
        if failures:
            raise failures.pop()
        return make_job(*given)

    monkeypatch.setattr(jobs, "make_job", fail_once)
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN})
        record = await server.record(change)

    (line,) = [json.loads(line) for line in caplog.text.splitlines() if "failed in our own code" in line]
    assert {name: line[name] for name in ("level", "change", "stage", "evaluation", "trace_id")} == {
        "level": "error",
        "change": change,
        "stage": "plan",
        "evaluation": f"{change}.e1",
        "trace_id": trace_text_of(record),
    }
    assert "RuntimeError: a defect" in line["error"]
