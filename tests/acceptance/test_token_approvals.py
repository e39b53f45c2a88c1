"""Who is known by a token and may approve: a person who counts once, and never for what their own token made.

By the operation that any door uses: what the token is good for is looked at where the word is taken in.
"""

from datetime import timedelta

import pytest

from gatewright.schemas.refusals import Refused
from gatewright.server.identity import tokens
from gatewright.server.identity.caller import Caller, person_of
from gatewright.server.identity.scopes import Scope
from gatewright.server.people.known import Person, Proof

from .conftest import Repositories
from .house import OK_GATE, Repository, Server, serving, solo
from .test_approvals import ANN, BOB, give, pending, register

pytestmark = pytest.mark.anyio


@pytest.fixture
def repository(make: Repositories) -> Repository:
    return make(solo(OK_GATE, "{approval: {minimum: 2}}"))


async def issue(server: Server, subject: str, *scopes: Scope) -> Caller:
    services, token = server.services, tokens.new_token()
    row = await services.run(
        lambda tx: tokens.issue(
            tx, token, subject=subject, scopes=scopes, lifetime=timedelta(days=1), by=ANN, now=services.clock()
        )
    )
    return Caller(subject, frozenset(scopes), row.id)


async def refused(server: Server, change: str, person: Person) -> str:
    with pytest.raises(Refused) as told:
        await give(server, change, person)
    return str(told.value.refusal.code)


@pytest.mark.slow
async def test_whoever_is_known_by_a_token_approves_as_one_person_and_not_for_what_it_made(
    repository: Repository,
) -> None:
    async with serving(repository) as server:
        await register(server)
        worker = await issue(server, "ann", Scope.WORK)
        ann, bob, carl = [await issue(server, name, Scope.APPROVE) for name in ("ann", "bob", "carl")]
        async with server.agent("claude", principal=worker.principal) as claude:
            change, _ = await pending(claude)

        assert await refused(server, change, person_of(ann)) == "own_work", "it is the same principal"
        assert await refused(server, change, ANN) == "own_work", (
            "who works by a token of their name is at a terminal now"
        )
        await give(server, change, BOB)
        assert await refused(server, change, person_of(bob)) == "already_approved", "one person, two channels"
        await give(server, change, person_of(carl))
        record = await server.record(change)

    approvals = record.stage("code").attempts[-1].approvals
    assert [approval.person for approval in approvals] == ["person:bob", "token:carl"]
    assert approvals[1].how == f"token over HTTP, {carl.token_id}"


@pytest.mark.slow
async def test_a_token_that_may_not_approve_or_was_revoked_decides_nothing(repository: Repository) -> None:
    async with serving(repository) as server:
        await register(server)
        worker, eve = (
            await issue(server, "eve", Scope.WORK, Scope.REVIEW),
            await issue(server, "mallory", Scope.APPROVE),
        )
        async with server.agent("claude") as claude:
            change, _ = await pending(claude)

        with pytest.raises(Refused, match="scope"):
            person_of(worker)
        forged = Person("eve", Proof.TOKEN, key=worker.token_id)
        assert await refused(server, change, forged) == "not_allowed"
        services = server.services
        await services.run(lambda tx: tokens.revoke(tx, str(eve.token_id), by=ANN, now=services.clock()))
        assert await refused(server, change, person_of(eve)) == "not_allowed"
        record = await server.record(change)

    assert record.stage("code").attempts[-1].approvals == ()
