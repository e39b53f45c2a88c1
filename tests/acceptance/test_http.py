"""The same stories over HTTP: the journey, whoever answers; who reviews; hostile words."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from gatewright.schemas import arguments
from gatewright.server.identity.scopes import Scope

from ..server.http.house import serving_site
from .conftest import Repositories
from .house import WITHIN_S, Agent, Generation, check_reply
from .test_journey import JOURNEY, prepare, travel
from .test_reviews import REVIEWED, hand_in

pytestmark = pytest.mark.anyio

FORGED = "gw1.c1.code.r1." + "A" * 22


@pytest.mark.slow
@pytest.mark.usefixtures("as_shipped")
async def test_the_journey_over_http(make: Repositories, generation: Generation) -> None:
    repository = make(JOURNEY)
    prepare(repository)
    async with serving_site(repository) as site, site.agent(await site.issue("ada"), "ada", generation) as ada:
        await travel(repository, site.server, ada)


@pytest.mark.slow
async def test_authors_and_reviewers_are_told_apart_by_their_tokens(make: Repositories) -> None:
    """Whatever names agents give themselves, and however many tokens one of them has."""
    repository = make(REVIEWED)
    async with serving_site(repository) as site:
        worker, again = await site.issue("ada", Scope.WORK), await site.issue("ada", Scope.REVIEW)
        looker, eve = await site.issue("bob", Scope.REVIEW), await site.issue("eve", Scope.REVIEW)
        async with (
            site.agent(worker, "ada") as ada,
            site.agent(again, "somebody else") as ada_reviewing,
            site.agent(looker, "bob") as bob,
            site.agent(eve, "bob") as eve_as_bob,
        ):
            waiting = await ada.start("Wait")
            nothing = await bob.get("claim_stage", agent="bob")
            idle = await bob.get("wait_for_update", wait_s=0)
            denied = await bob.refused("claim_stage", agent="bob", change=waiting, stage="code")
            _, verdict = await hand_in(ada)
            change = verdict["change"]
            own = await ada_reviewing.refused("claim_stage", agent="somebody else", change=change, stage="code")
            not_hers = await ada.refused("review_artifact", lease=FORGED, findings=[], inspected=["x"])
            asked = await bob.get("claim_stage", agent="bob")
            judgement = {"lease": asked["lease"], "findings": [], "inspected": ["sub.py"]}
            stolen = await eve_as_bob.call("review_artifact", **judgement)
            given = await bob.get("review_artifact", **judgement)
            record = await site.server.landed(change)

    assert (nothing["kind"], idle["claimable"], denied) == ("none", [], "not_allowed"), "work is for others"
    assert (own, not_hers) == ("own_work", "not_allowed")
    assert (asked["kind"], given["verdict"]) == ("review", "accepted")
    assert "another principal" in stolen["message"]
    (review,) = record.stage("code").attempts[-1].reviews
    assert (review.principal, review.reviewer) == ("token:bob", "bob")


@pytest.mark.slow
async def test_what_one_replica_began_another_answers_about(make: Repositories, generation: Generation) -> None:
    """No request needs the replica that answered the one before; whoever waits at one hears of the other."""
    repository = make()
    async with serving_site(repository) as here, serving_site(repository, has_engine=True) as there:
        token = await here.issue("ada")
        async with here.agent(token, "ada", generation) as ada, there.agent(token, "ada", generation) as ada_there:
            change = await ada.start()
            brief = await ada_there.claim(change)
            assert not (await ada.call("renew_lease", lease=brief["lease"])).is_refused
            position = (await ada.get("wait_for_update", change=change, wait_s=0))["position"]
            heard: list[Any] = []

            async def wait_here() -> None:
                heard.append(await ada.get("wait_for_update", change=change, after=position, wait_s=40))

            with anyio.fail_after(WITHIN_S):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wait_here)
                    await ada_there.get("release_stage", lease=brief["lease"], because="done_for_now", reason="Lunch.")

    assert "let go" in heard[0].text or "released" in heard[0].text or "Lunch" in heard[0].text, heard[0].text


HOSTILE = (
    "../../../../etc/passwd",
    "/etc/passwd",
    "--upload-pack=touch /tmp/owned",
    "main:calc.py",
    "c1; touch owned",
    "$(touch owned)",
    "' OR '1'='1",
    "a\x00b",
    "a\r\nSet-Cookie: x=1",
    "\x1b[2J\x1b[H",
    ".git/config",
    "gatewright://changes/../../x",
    "gw1.c1.code.1." + "A" * 22,
    "\U0001f4a9" * 40,
)


def hostile_calls() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every text of every tool with each hostile word in it, the other arguments being in order."""
    fine: dict[str, Any] = {
        "title": "Add sub",
        "intent": "Add sub.",
        "agent": "ada",
        "change": "c1",
        "stage": "code",
        "summary": "Work.",
        "because": "cannot",
        "reason": "No.",
        "findings": [],
        "inspected": ["calc.py"],
    }
    for tool, model in arguments.TOOLS.items():
        fields = model.model_fields
        for name, field in fields.items():
            if "str" not in str(field.annotation) or name == "because":
                continue
            needed = {
                other: fine[other] for other, f in fields.items() if f.is_required() and other in fine and other != name
            }
            for word in HOSTILE:
                yield tool, {**needed, **_shaped(name, word)}


def _shaped(name: str, word: str) -> dict[str, Any]:
    match name:
        case "files":
            return {name: {word: "x"}}
        case "gates" | "inspected":
            return {name: [word]}
        case "findings":
            return {name: [{"severity": "blocking", "where": f"{word}:1", "message": word}]}
        case "answers":
            return {name: [{"finding": word, "disposition": "fixed", "note": word}]}
        case _:
            return {name: word}


@pytest.mark.slow
async def test_a_hostile_word_in_any_text_is_a_word(
    make: Repositories, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Paths, refs, options, commands, SQL, terminal sequences: refused or kept as text; nothing else comes of it."""
    repository = make()
    heads = repository.git("for-each-ref", "refs/heads", "refs/tags")
    async with serving_site(repository, has_engine=False) as site:
        token = await site.issue("ada")
        async with site.agent(token) as ada:
            change = await ada.start()
            lease = (await ada.claim(change))["lease"]
            seen: set[str] = set()
            for tool, given in hostile_calls():
                whole = (
                    {**given}
                    if "lease" in given or "lease" not in arguments.TOOLS[tool].model_fields
                    else {**given, "lease": lease}
                )
                if "wait_s" in arguments.TOOLS[tool].model_fields:
                    whole["wait_s"] = 0
                result = await ada.client.call_tool(tool, whole)
                assert result.structured_content is not None, (tool, whole, result.content)
                text = json.dumps(result.structured_content)
                assert "root:" not in text, (tool, whole)
                assert "Traceback" not in text, (tool, whole)
                seen.add(tool)
                if result.is_error:
                    check_reply(tool, result)
                elif tool in ("release_stage", "submit_artifact"):
                    lease = await _lease_again(ada, change, lease)
            assert seen == set(arguments.TOOLS)
            for word in HOSTILE:
                for uri in (f"gatewright://changes/{word}", f"gatewright://changes/{change}/stages/{word}", word):
                    with pytest.raises(MCPError):
                        await ada.client.read_resource(uri)

    assert repository.git("for-each-ref", "refs/heads", "refs/tags") == heads
    assert owned(tmp_path) == []
    assert not [record for record in caplog.records if "in our own code" in record.getMessage()]


def owned(folder: Path) -> list[Path]:
    """What a command that somebody slipped in would have left."""
    return [*folder.rglob("owned"), *Path("/tmp").glob("owned")]


async def _lease_again(ada: Agent, change: str, lease: str) -> str:
    """A lease that is held, the former one or another of the change."""
    told = await ada.call("renew_lease", lease=lease)
    if not told.is_refused:
        return lease
    brief = await ada.call("claim_stage", agent="ada", change=change)
    return str(brief["lease"]) if not brief.is_refused and brief["kind"] == "work" else lease
