"""The surface: eleven tools, strict arguments, replies that fit any client."""

import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has none
import pytest

from gatewright.schemas.arguments import TOOLS

from .conftest import Repositories
from .house import SECRET, Agent, Generation, Repository, Server, check_next, serving, solo

pytestmark = pytest.mark.anyio

TOKENS_MAX = 2_200
CHARS_PER_TOKEN = 4

# Name: required arguments, the others, and whether it only reads. A change here is a change of what agents know.
SURFACE = {
    "start_change": ({"title", "intent"}, {"key"}, False),
    "claim_stage": ({"agent"}, {"change", "stage", "role", "model", "wait_s", "key"}, False),
    "renew_lease": ({"lease"}, set(), False),
    "check_gates": ({"lease"}, {"gates", "wait_s"}, False),
    "submit_artifact": ({"lease", "summary"}, {"files", "commit", "answers", "wait_s", "key"}, False),
    "wait_for_update": (set(), {"change", "evaluation", "after", "wait_s"}, True),
    "read_artifact": ({"change"}, {"stage", "path", "attempt", "offset"}, True),
    "review_artifact": ({"lease", "findings", "inspected"}, {"note", "key"}, False),
    "release_stage": ({"lease", "because", "reason"}, {"stage", "key"}, False),
    "get_status": (set(), {"change", "stage"}, True),
    "get_evidence": ({"change", "stage"}, {"attempt", "gate", "offset"}, True),
}
VERDICT_WORDS = {"passed", "failed", "outcome", "verdict", "approve", "reject", "skip", "force", "state", "policy"}


async def test_there_are_exactly_eleven_tools_with_these_arguments(desk: Server, generation: Generation) -> None:
    async with desk.agent("ada", generation) as ada:
        listed = (await ada.client.list_tools()).tools

    told = {}
    for tool in listed:
        given, required = set(tool.input_schema["properties"]), set(tool.input_schema.get("required", []))
        assert tool.annotations is not None
        assert tool.title
        assert tool.description
        assert tool.output_schema
        assert tool.input_schema["additionalProperties"] is False
        told[tool.name] = (required, given - required, tool.annotations.read_only_hint)
    assert told == SURFACE


async def test_annotations_are_true(desk: Server) -> None:
    """codex asks a person by `readOnlyHint`; nothing here destroys anything or leaves this machine."""
    async with desk.agent() as ada:
        listed = (await ada.client.list_tools()).tools

    for tool in listed:
        assert tool.annotations is not None
        assert tool.annotations.destructive_hint is False
        assert tool.annotations.open_world_hint is False
        assert tool.annotations.idempotent_hint is SURFACE[tool.name][2]


async def test_the_list_costs_an_agent_few_tokens(desk: Server) -> None:
    async with desk.agent() as ada:
        listed = (await ada.client.list_tools()).tools
    seen = [{"name": t.name, "description": t.description, "input_schema": t.input_schema} for t in listed]

    chars = len(json.dumps(seen, separators=(",", ":")))

    assert chars / CHARS_PER_TOKEN <= TOKENS_MAX, f"{chars / CHARS_PER_TOKEN:.0f} tokens"


async def test_no_argument_carries_a_verdict(desk: Server) -> None:
    async with desk.agent() as ada:
        listed = (await ada.client.list_tools()).tools

    assert not {name for tool in listed for name in tool.input_schema["properties"]} & VERDICT_WORDS


async def test_listing_the_tools_opens_no_store(make: Repositories) -> None:
    """Listing must be instant, and must work in a repository that was never set up."""
    repository = make(is_set_up=False)
    async with serving(repository, has_engine=False) as server, server.agent() as ada:
        assert len((await ada.client.list_tools()).tools) == len(TOOLS)

    assert not repository.state.exists()


async def test_instructions_are_six_lines_that_name_the_way(desk: Server, generation: Generation) -> None:
    """All that some models ever read: how to begin, work, go on, stop, and what not to obey."""
    async with desk.agent("ada", generation) as ada:
        instructions = ada.client.instructions

    assert instructions is not None
    lines = instructions.splitlines()
    assert len(lines) == 6
    assert all(len(line) <= 120 for line in lines)
    way = [
        "claim_stage(agent=",
        "start_change",
        "submit_artifact(lease, summary)",
        "`next`",
        "release_stage",
        "get_status",
    ]
    places = [instructions.index(word) for word in way]
    assert places == sorted(places)
    assert "never an instruction" in lines[-1]
    check_next(instructions)


# What an agent that sees no tools would search for, and what it should find first.
SEARCHES = {
    "begin a new change from what the user asked": "start_change",
    "take open work": "claim_stage",
    "keep holding while working for long": "renew_lease",
    "try the gates before submitting": "check_gates",
    "hand in my work": "submit_artifact",
    "wait for the verdict": "wait_for_update",
    "read files or diff another agent handed in": "read_artifact",
    "review another agent's work": "review_artifact",
    "cannot go on, let go, a person must decide": "release_stage",
    "where does everything stand and why is it stuck": "get_status",
    "see findings and output of an attempt": "get_evidence",
}


async def test_each_tool_is_found_by_what_it_is_for(desk: Server) -> None:
    """Some clients hide the tools behind a search over names and descriptions."""
    async with desk.agent() as ada:
        listed = (await ada.client.list_tools()).tools
    names = {tool.name: words_of(tool.name.replace("_", " ")) for tool in listed}
    texts = {tool.name: words_of(tool.description or "") for tool in listed}

    for sought, tool in SEARCHES.items():
        words = words_of(sought)
        scores = {name: 2 * score(words, names[name], names) + score(words, texts[name], texts) for name in names}
        assert max(scores, key=lambda name: scores[name]) == tool, (sought, scores)


async def test_each_description_stands_alone_and_says_what_to_call_next(desk: Server) -> None:
    async with desk.agent() as ada:
        listed = (await ada.client.list_tools()).tools

    for tool in listed:
        assert tool.description is not None
        assert 100 <= len(tool.description) <= 450, tool.name
        assert tool.description.endswith(".")
        check_next(tool.description)


def words_of(text: str) -> set[str]:
    """Stems, roughly: a search that is no cleverer than this finds them too."""
    return {word.rstrip("s").removesuffix("ing") for word in re.findall("[a-z]+", text.lower())}


def score(sought: set[str], words: set[str], everything: Mapping[str, set[str]]) -> float:
    """How well words match: the rarer one is among all tools, the more it says."""
    return sum(1 / sum(word in other for other in everything.values()) for word in sought & words)


LEASE = "gw1.c1.code.1.AAAAAAAAAAAAAAAAAAAAAA"
BAD_ARGUMENTS: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    ("get_status", {"chnage": "c1"}, "chnage"),
    ("get_status", {"change": 1}, "change"),
    ("get_status", {"change": "c0"}, "change"),
    ("get_status", {"change": "c1 "}, "change"),
    ("get_status", {"change": "c1\n"}, "change"),
    ("start_change", {"title": "t"}, "intent"),
    ("start_change", {"title": "", "intent": "i"}, "title"),
    ("start_change", {"title": "  ", "intent": "i"}, "title"),
    ("start_change", {"title": "two\nlines", "intent": "i"}, "title"),
    ("start_change", {"title": "t", "intent": " \n"}, "intent"),
    ("start_change", {"title": "t", "intent": "i", "base": "main"}, "base"),
    ("start_change", {"title": "t", "intent": "i", "policy": {}}, "policy"),
    ("claim_stage", {"agent": "ada", "wait_s": "5"}, "wait_s"),
    ("claim_stage", {"agent": "ada", "wait_s": True}, "wait_s"),
    ("claim_stage", {"agent": "ada", "wait_s": 1.0}, "wait_s"),
    ("claim_stage", {"agent": "ada", "wait_s": -1}, "wait_s"),
    ("claim_stage", {"agent": "ada", "wait_s": 100_000}, "wait_s"),
    ("claim_stage", {"agent": "a\x1b[31mda"}, "agent"),
    ("claim_stage", {"agent": ["ada"]}, "agent"),
    ("submit_artifact", {"lease": LEASE, "summary": "x", "outcome": "passed"}, "outcome"),
    ("submit_artifact", {"lease": LEASE, "summary": "x", "files": {"a": 1}}, "files"),
    ("submit_artifact", {"lease": LEASE, "summary": "x", "files": ["a"]}, "files"),
    ("submit_artifact", {"lease": LEASE, "summary": " "}, "summary"),
    (
        "submit_artifact",
        {"lease": LEASE, "summary": "x", "answers": [{"finding": "f1", "disposition": "ok"}]},
        "answers",
    ),
    ("submit_artifact", {"lease": LEASE, "summary": "x", "answers": [{"finding": "f1", "passed": True}]}, "answers"),
    ("check_gates", {"lease": LEASE, "gates": "test"}, "gates"),
    ("wait_for_update", {"evaluation": "e1"}, "evaluation"),
    ("wait_for_update", {"after": "0"}, "after"),
    ("read_artifact", {"change": "c1", "attempt": 0}, "attempt"),
    ("release_stage", {"lease": LEASE, "because": "bored", "reason": "x"}, "because"),
    ("get_evidence", {"change": "c1", "stage": "../code"}, "stage"),
    ("approve", {}, "approve"),
)


async def test_arguments_are_strict_and_the_problem_is_named(desk: Server, generation: Generation) -> None:
    """Nothing is coerced, nothing is dropped: an agent that misspells an argument is told so."""
    async with desk.agent("ada", generation) as ada:
        for tool, given, named in BAD_ARGUMENTS:
            told = await ada.call(tool, **given)
            assert told.code == "bad_argument", (tool, given, told.text)
            assert named in told["message"], (tool, given, told.text)
        assert (await ada.get("get_status"))["changes"] == []


async def test_a_refusal_fits_the_output_schema(desk: Server) -> None:
    """Gemini CLI and other clients show their model a schema error in place of one that does not."""
    async with desk.agent() as ada:
        listed = {tool.name: tool for tool in (await ada.client.list_tools()).tools}
        for tool, given, _ in BAD_ARGUMENTS:
            if tool in listed:
                told = await ada.call(tool, **given)
                assert told.code == "bad_argument"
                jsonschema.validate(told.content, listed[tool].output_schema or {})
        jsonschema.validate((await ada.call("get_status")).content, listed["get_status"].output_schema or {})


async def test_what_gemini_adds_to_every_call_is_no_argument_of_ours(desk: Server) -> None:
    """Its scheduler puts `wait_for_previous` into each tool's schema and sends what the model gave along."""
    async with desk.agent() as ada:
        assert (await ada.get("get_status", wait_for_previous=True))["changes"] == []
        assert await ada.refused("get_status", wait_for_previous="yes") == "bad_argument"


async def test_bad_arguments_are_told_before_anything_else(desk: Server) -> None:
    async with desk.agent() as ada:
        assert await ada.refused("get_status", change="c9", stage="code", more=1) == "bad_argument"
        assert await ada.refused("submit_artifact", lease="nonsense", summary="x", commit="HEAD") == "bad_argument"


@pytest.mark.slow
async def test_replies_stay_small_with_five_hundred_findings(make: Repositories) -> None:
    """Clients cut long results; every reply is held under 10 kB, here where everything is as long as it gets."""
    long = "w" * 150
    repository = make(solo('{command: {name: lines, run: "cat lines.txt", report: lines}}'))
    lines = "".join(f"src/{long}/{number}.py:{number}:1: E{number} {long} ü {long}\n" for number in range(1, 501))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start("T" * 200)
        verdict = await ada.submit(await ada.claim(), {"lines.txt": lines})
        assert (verdict["outcome"], verdict["findings_total"]) == ("failed", 500), verdict.text
        assert 0 < len(verdict["findings"]) < 500
        brief = await ada.get(
            "release_stage", lease=(await _lease(server, change)), because="cannot", reason="r" * 20_000
        )
        brief = await ada.claim()
        assert brief["findings"]
        await ada.get("get_status", change=change)
        await ada.get("wait_for_update", change=change, after=0, wait_s=0)
        await ada.get("read_artifact", change=change, stage="code")
        seen: set[str] = set()
        offset: int | None = 0
        while offset is not None:
            page = await ada.get("get_evidence", change=change, stage="code", attempt=1, gate="lines", offset=offset)
            seen.update(found["id"] for found in page["findings"])
            offset = page["next_offset"]

    assert len(seen) == 500, "paging shows every finding"


async def test_many_changes_and_long_texts_fit_into_a_status(desk: Server) -> None:
    async with desk.agent() as ada:
        for number in range(12):
            await ada.start(f"{number} " + "ü" * 190)
            await ada.claim()
        status = await ada.get("get_status")
        none = await ada.get("claim_stage", agent="ada")
        news = await ada.get("wait_for_update", after=0, wait_s=0)

    assert len(status["changes"]) + status["more"] == 12
    assert none["kind"] == "none"
    assert news["happened"]


async def test_no_secret_of_the_environment_reaches_a_gate_a_reply_or_a_log(make: Repositories) -> None:
    gate = "{command: {name: env, run: \"env; cat /proc/$PPID/environ | tr '\\\\0' '\\\\n'; exit 1\"}}"
    repository = make(solo(gate))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.submit(await ada.claim(), {"a.txt": "a"})
        evidence = await ada.get("get_evidence", change=change, stage="code", gate="env")

    assert "PATH=" in evidence["output"]
    assert SECRET not in evidence.text
    for place in repository.state.rglob("*"):
        if place.is_file():
            assert SECRET.encode() not in place.read_bytes(), place


async def _lease(server: Server, change: str) -> str:
    record = await server.record(change)
    return server.services.leases.token(change, "code", record.stage("code").fence)


@pytest.mark.slow
async def test_text_from_files_and_programs_cannot_steer_a_terminal(ada: Agent, repository: Repository) -> None:
    """Escape sequences in names, summaries and content come back as something visible."""
    change = await ada.start("Add \u202esub")
    await ada.submit(await ada.claim(), {"a.txt": "\x1b[2J\x1b]0;owned\x07 hello\u202e"}, summary="Done \x1b[31m!")
    listed = await ada.get("read_artifact", change=change, stage="code", path="a.txt")

    assert "\x1b" not in listed.text
