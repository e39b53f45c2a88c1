"""Who calls: nobody without a good token, for what its scopes allow, as its subject and no other."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gatewright.server.identity.scopes import Scope

from ...acceptance.house import Clock, Generation
from .house import HEADERS, LIST_TOOLS, Site, bearer

pytestmark = pytest.mark.anyio


async def test_a_good_token_opens_the_door_in_both_generations(site: Site, generation: Generation) -> None:
    token = await site.issue("ada")

    async with site.agent(token, "ada", generation) as ada:
        listed = await ada.client.list_tools()
        change = await ada.start()
        brief = await ada.claim(change)

    assert len(listed.tools) == 11
    record = await site.server.record(change)
    assert record.principal == "token:ada"
    held = record.stage("code").lease
    assert held is not None
    assert (held.principal, held.holder) == ("token:ada", "ada")
    assert brief["change"] == change


STRANGERS: tuple[dict[str, str], ...] = (
    {},
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": "Bearer gwt_" + "A" * 43},
    {"authorization": "Bearer " + "A" * 10_000},
    {"authorization": "Basic YWRhOmFkYQ=="},
    {"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."},
    {"authorization": "Bearer ' OR 1=1 --"},
    {"cookie": "token=gwt_" + "A" * 43},
    {"x-forwarded-user": "ada", "x-remote-user": "ada"},
)


async def test_nobody_gets_in_without_a_token_that_was_issued(site: Site) -> None:
    await site.issue("ada")

    for headers in STRANGERS:
        answer = await site.http.post(site.url, headers={**HEADERS, **headers}, json=LIST_TOOLS)

        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"].startswith("Bearer "), headers
        assert "tools" not in answer.text, headers


async def test_a_token_in_the_address_is_none(site: Site) -> None:
    """Addresses stand in logs and histories."""
    token = await site.issue("ada")

    assert (
        await site.http.post(f"{site.url}?access_token={token}", headers=HEADERS, json=LIST_TOOLS)
    ).status_code == 401


async def _expire(site: Site, clock: Clock, token: str) -> None:
    clock.advance(90_000)


async def _revoke(site: Site, clock: Clock, token: str) -> None:
    await site.revoke(token)


@pytest.mark.parametrize("end", [_expire, _revoke])
async def test_a_token_that_ended_is_good_for_nothing_from_the_next_request_on(
    site: Site, clock: Clock, end: Callable[[Site, Clock, str], Awaitable[None]]
) -> None:
    token = await site.issue("ada", days=1)
    assert (await site.post(token)).status_code == 200

    await end(site, clock, token)

    assert (await site.post(token)).status_code == 401


async def test_two_authorizations_are_none(site: Site) -> None:
    """A proxy may look at the one and this server at the other."""
    token = await site.issue("ada")
    headers = [*HEADERS.items(), *bearer("x").items(), *bearer(token).items()]

    assert (await site.http.post(site.url, headers=headers, json=LIST_TOOLS)).status_code == 400


CALLS: dict[str, dict[str, Any]] = {
    "start_change": {"title": "Add sub", "intent": "Add sub."},
    "claim_stage": {"agent": "ada"},
    "renew_lease": {"lease": "gw1.c1.code.1.AAAAAAAAAAAAAAAAAAAAAA"},
    "check_gates": {"lease": "gw1.c1.code.1.AAAAAAAAAAAAAAAAAAAAAA"},
    "submit_artifact": {"lease": "gw1.c1.code.1.AAAAAAAAAAAAAAAAAAAAAA", "summary": "Work."},
    "wait_for_update": {"wait_s": 0},
    "read_artifact": {"change": "c1"},
    "review_artifact": {"lease": "gw1.c1.code.r1.AAAAAAAAAAAAAAAAAAAAAA", "findings": [], "inspected": ["calc.py"]},
    "release_stage": {"lease": "gw1.c1.code.1.AAAAAAAAAAAAAAAAAAAAAA", "because": "cannot", "reason": "No."},
    "get_status": {},
    "get_evidence": {"change": "c1", "stage": "code"},
}
ANYBODY = {"wait_for_update", "read_artifact", "get_status", "get_evidence"}
EITHER = {"claim_stage", "renew_lease", "release_stage"}
ALLOWED = {
    Scope.WORK: ANYBODY | EITHER | {"start_change", "check_gates", "submit_artifact"},
    Scope.REVIEW: ANYBODY | EITHER | {"review_artifact"},
    Scope.APPROVE: ANYBODY,
    Scope.ADMIN: ANYBODY,
}


async def test_a_token_is_good_for_what_its_scope_says_and_for_nothing_else(site: Site) -> None:
    """No tool is for those who approve or operate alone: no worker's tool decides what people decide."""
    # Who works comes last: it begins a change.
    for scope in (Scope.REVIEW, Scope.APPROVE, Scope.ADMIN, Scope.WORK):
        async with site.agent(await site.issue(scope.value, scope)) as ada:
            told = {tool: await ada.call(tool, **given) for tool, given in CALLS.items()}

        refused = {tool for tool, reply in told.items() if reply.is_refused and "needs the scope" in reply["message"]}
        assert set(told) - refused == ALLOWED[scope], scope
        assert all(told[tool].code == "not_allowed" for tool in refused)
        assert bool(await site.server.services.read(lambda tx: tx.changes(limit=9))) == (scope is Scope.WORK)


async def test_who_only_reviews_is_given_no_work_by_name_or_without(site: Site) -> None:
    async with (
        site.agent(await site.issue("ada", Scope.WORK), "ada") as ada,
        site.agent(await site.issue("bob", Scope.REVIEW), "bob") as bob,
    ):
        change = await ada.start()
        waited = await bob.get("wait_for_update", wait_s=0)
        told = await bob.get("claim_stage", agent="bob"), await bob.get("claim_stage", agent="bob", change=change)
        named = await bob.call("claim_stage", agent="bob", change=change, stage="code")

        assert [brief["kind"] for brief in told] == ["none", "none"]
        assert waited["claimable"] == []
        assert (named.code, "'review'" in named["message"] or "'work'" in named["message"]) == ("not_allowed", True)
        assert (await ada.claim())["change"] == change


async def test_a_token_without_a_scope_of_ours_reads_nothing(site: Site) -> None:
    token = await site.issue("ada", Scope.WORK)
    services = site.server.services

    def spoil(tx: object) -> None:
        tx.connection.exec_driver_sql("UPDATE token SET scopes = 'openid'")  # type: ignore[attr-defined]  # of the store

    await services.run(spoil)

    assert (await site.post(token)).status_code == 403


async def test_a_lease_in_the_hands_of_another_principal_does_nothing(site: Site) -> None:
    """What is handed in under a lease counts as its holder's: who steals one would work in the holder's name."""
    async with (
        site.agent(await site.issue("ada"), "ada") as ada,
        site.agent(await site.issue("eve"), "ada") as eve,
        site.agent(await site.issue("ada"), "ada") as ada_again,
    ):
        change = await ada.start()
        lease = (await ada.claim(change))["lease"]
        before = await site.server.record(change)

        for tool, given in (
            ("renew_lease", {}),
            ("check_gates", {}),
            ("submit_artifact", {"summary": "Mine.", "files": {"calc.py": "x = 1\n"}}),
            ("release_stage", {"because": "cannot", "reason": "No."}),
        ):
            told = await eve.call(tool, lease=lease, **given)
            assert (told.code, "another principal" in told["message"]) == ("not_allowed", True), tool

        assert await site.server.record(change) == before, "not even renewed"
        assert not (await ada_again.call("renew_lease", lease=lease)).is_refused, (
            "every token of a subject is the subject"
        )


@pytest.mark.slow
async def test_a_lease_of_the_past_is_of_no_use_to_another_principal_either(site: Site, clock: Clock) -> None:
    """A late commit is kept and offered: nobody slips one in under the name of a former holder."""
    async with (
        site.agent(await site.issue("ada"), "ada") as ada,
        site.agent(await site.issue("bob"), "bob") as bob,
        site.agent(await site.issue("eve"), "eve") as eve,
    ):
        change = await ada.start()
        lease = (await ada.claim(change))["lease"]
        clock.advance(3_600)
        await bob.claim(change)

        told = await eve.call("submit_artifact", lease=lease, summary="Mine.", files={"calc.py": "x = 1\n"})

    assert "another principal" in told["message"]
    assert (await site.server.record(change)).stage("code").orphans == ()
