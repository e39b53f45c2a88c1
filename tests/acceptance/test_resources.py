"""Resources: the truth of the reading tools under addresses, in both generations of the protocol."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, TextResourceContents

from gatewright.server.addresses import BEFORE, CHANGE, CHANGES, EVIDENCE, LEDGER, PIPELINE, STAGE

from .conftest import Repositories
from .house import REPLY_BYTES_MAX, Agent, Generation, Server, check_next, serving, solo, staged

pytestmark = pytest.mark.anyio


async def read(client: Client, uri: str) -> Mapping[str, Any]:
    """A resource's one JSON text, held against what all replies promise."""
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    assert len(content.text.encode()) < REPLY_BYTES_MAX
    found: Mapping[str, Any] = json.loads(content.text)
    assert list(found)[-1] == "next"
    check_next(found["next"])
    return found


async def listed(agent: Agent) -> dict[str, str | None]:
    return {str(found.uri): found.title for found in (await agent.client.list_resources()).resources}


async def test_three_resources_and_four_templates_are_listed(desk: Server, generation: Generation) -> None:
    async with desk.agent("ada", generation) as ada:
        resources = (await ada.client.list_resources()).resources
        templates = (await ada.client.list_resource_templates()).resource_templates

    assert [str(found.uri) for found in resources] == [CHANGES, PIPELINE, LEDGER]
    assert [found.uri_template for found in templates] == [BEFORE, CHANGE, STAGE, EVIDENCE]
    assert all(found.title and found.description for found in resources)
    assert all(found.title and found.description for found in templates)
    assert {found.mime_type for found in resources} | {found.mime_type for found in templates} == {"application/json"}


async def test_listing_opens_no_store(make: Repositories, generation: Generation) -> None:
    """Some clients list everything at their start, in whatever folder they were started."""
    repository = make(is_set_up=False)
    async with serving(repository, has_engine=False) as server, server.agent("ada", generation) as ada:
        assert len((await ada.client.list_resources()).resources) == 3
        assert len((await ada.client.list_resource_templates()).resource_templates) == 4
        assert len((await ada.client.list_prompts()).prompts) == 3

    assert not repository.state.exists()


async def test_changes_under_way_are_listed_by_title_until_they_end(desk: Server, generation: Generation) -> None:
    from gatewright.gates.machine.commands import Cancel

    async with desk.agent("ada", generation) as ada:
        first, second = await ada.start("Add sub"), await ada.start("Add mul")
        before = await listed(ada)
        await desk.decide(first, Cancel("person:eve", "Not needed."))
        after = await listed(ada)

    assert before[CHANGE.format(change=first)] == "c1: Add sub"
    assert CHANGE.format(change=second) in before
    assert set(before) - set(after) == {CHANGE.format(change=first)}


async def test_a_change_and_its_stages_are_read_as_the_status_tells_them(
    make: Repositories, generation: Generation
) -> None:
    async with (
        serving(make(staged()), has_engine=False) as server,
        server.agent("ada", generation) as ada,
    ):
        change = await ada.start("Add sub")
        await ada.claim()
        everything = await read(ada.client, CHANGES)
        one = await read(ada.client, CHANGE.format(change=change))
        stage = await read(ada.client, STAGE.format(change=change, stage="code"))
        status = await ada.get("get_status", change=change, stage="code")

    assert [found["change"] for found in everything["changes"]] == [change]
    assert [found["stage"] for found in one["changes"][0]["stages"]] == ["plan", "code"]
    assert one["history"]
    assert stage["why"]["because"] == status["why"]["because"]
    assert stage["why"]["state"] == "waiting"


@pytest.mark.slow
async def test_evidence_is_read_as_judged_and_says_how_to_get_the_rest(
    make: Repositories, generation: Generation
) -> None:
    gate = '{command: {name: loud, run: "seq 1 5000; exit 1"}}'
    async with serving(make(solo(gate))) as server, server.agent("ada", generation) as ada:
        change = await ada.start()
        await ada.submit(await ada.claim(), {"a.txt": "a"})
        uri = EVIDENCE.format(change=change, stage="code", attempt=1, gate="loud")
        evidence = await read(ada.client, uri)
        rest = await ada.get("get_evidence", change=change, stage="code", gate="loud", offset=evidence["next_offset"])

    assert [found["outcome"] for found in evidence["gates"]] == ["failed"]
    assert evidence["output"].startswith("1\n2\n")
    named = f'get_evidence(change="{change}", stage="code", attempt=1, gate="loud", offset={evidence["next_offset"]})'
    assert evidence["next"].startswith(named)
    assert rest["output"]


async def test_the_pipeline_is_that_of_the_trusted_branch_now(make: Repositories, generation: Generation) -> None:
    repository = make(staged())
    async with serving(repository, has_engine=False) as server, server.agent("ada", generation) as ada:
        before = await read(ada.client, PIPELINE)
        repository.write("gatewright.yaml", staged().replace("Make the change.", "Make it well."))
        unsaved = await read(ada.client, PIPELINE)
        tip = repository.commit("Ask for more")
        after = await read(ada.client, PIPELINE)

    assert [(stage["stage"], stage["needs"]) for stage in before["stages"]] == [("plan", []), ("code", ["plan"])]
    assert [gate["gate"] for gate in before["stages"][1]["gates"]] == ["ok"]
    assert all(gate["about"] for stage in before["stages"] for gate in stage["gates"])
    assert before["land"]["strategy"] == "merge"
    assert unsaved == before, "what nobody has committed is not in force"
    assert after["commit"] == tip
    assert after["digest"] != before["digest"]
    assert after["stages"][1]["goal"] == "Make it well."


NOT_THERE = (
    "gatewright://changes/c9",
    "gatewright://changes/c1/stages/nothing",
    "gatewright://changes/c1/stages/code/attempts/1/evidence/ok",
    "gatewright://changes/c1/stages/code/attempts/0/evidence/ok",
    "gatewright://changes/",
    "gatewright://changes/c1/",
    "gatewright://changes/c1\n",
    "gatewright://changes/../pipeline",
    "gatewright://changes/c1/stages/..%2f",
    "gatewright://ledger?all",
    "GATEWRIGHT://ledger",
    "file:///etc/passwd",
    "",
)


async def test_what_is_not_there_is_an_error_that_names_the_address(desk: Server, generation: Generation) -> None:
    async with desk.agent("ada", generation) as ada:
        await ada.start()
        for uri in NOT_THERE:
            with pytest.raises(MCPError) as refused:
                await ada.client.read_resource(uri)
            assert refused.value.code == INVALID_PARAMS, (uri, refused.value)
            assert refused.value.data["uri"] == uri


async def test_where_nothing_is_prepared_a_resource_says_what_a_person_runs(
    make: Repositories, generation: Generation
) -> None:
    async with (
        serving(make(is_set_up=False), has_engine=False) as server,
        server.agent("ada", generation) as ada,
    ):
        with pytest.raises(MCPError, match="gatewright init"):
            await ada.client.read_resource(CHANGES)


async def test_many_long_changes_stay_small_as_resources(desk: Server, generation: Generation) -> None:
    async with desk.agent("ada", generation) as ada:
        for number in range(12):
            await ada.start(f"{number} " + "ü" * 190)
        await read(ada.client, CHANGES)
        await read(ada.client, CHANGE.format(change="c12"))
        titles = await listed(ada)

    assert len(titles) == 15


async def test_the_list_is_bounded(desk: Server) -> None:
    async with desk.agent() as ada:
        for number in range(35):
            await ada.start(f"Change {number}")
        titles = await listed(ada)

    assert len(titles) == 33
    assert CHANGE.format(change="c35") in titles
    assert CHANGE.format(change="c1") not in titles


def many_stages(count: int) -> str:
    """A pipeline of so many stages with names and goals as long as they may be, each with a few gates."""
    names = [f"s{number:02}-{'x' * 28}" for number in range(count)]
    lines = ["version: 1", "target: main", "stages:"]
    for number, name in enumerate(names):
        lines += [f"  {name}:", f"    goal: {'Do it well. ' * 30}", f'    writes: ["src/{number}/**"]', "    gates:"]
        lines += [f'      - command: {{name: g{gate}-{"y" * 26}, run: "make check"}}' for gate in range(3)]
    return "\n".join([*lines, f"land: {{needs: [{', '.join(names)}]}}", ""])


@pytest.mark.slow
async def test_forty_stages_with_long_names_fit_everywhere(make: Repositories, generation: Generation) -> None:
    async with (
        serving(make(many_stages(40)), has_engine=False) as server,
        server.agent("a" * 80, generation) as ada,
    ):
        change = await ada.start("T" * 200)
        for _ in range(6):
            await ada.claim()
        pipeline = await read(ada.client, PIPELINE)
        one = await read(ada.client, CHANGE.format(change=change))
        await read(ada.client, CHANGES)
        await ada.get("get_status", change=change)
        await ada.get("get_status")
        await ada.get("claim_stage", agent="b" * 80, role="nobody")

    assert pipeline["summary"].startswith("40 stages, ")
    assert pipeline["stages"]
    assert one["changes"][0]["stages"]


async def test_questions_without_end_fit_everywhere(desk: Server) -> None:
    """What an agent asks people may be as long as an argument may be."""
    async with desk.agent() as ada:
        for number in range(4):
            change = await ada.start(f"{number} " + "漢" * 190)
            lease = (await ada.claim(change))["lease"]
            reason = "Which of them, and why? \U0001f642\n" * 700
            await ada.get("release_stage", lease=lease, because="needs_decision", reason=reason)
        status = await ada.get("get_status")
        stage = await ada.get("get_status", change="c1", stage="code")
        await read(ada.client, CHANGES)
        await read(ada.client, STAGE.format(change="c1", stage="code"))
        none = await ada.get("claim_stage", agent="ada")
        await ada.get("wait_for_update", after=0, wait_s=0)

    assert len(status["waiting_for_people"]) == 4
    assert stage["why"]["state"] == "escalated"
    assert none["kind"] == "none"
