"""An organisation's own sign-on as a door: tokens of its issuer, and where a client learns who that is."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewright.server.http.listening import Issuer

from ...acceptance.house import Generation, Repository
from ..identity.issuer import NAME, TestIssuer
from .house import Site, serving_site

pytestmark = pytest.mark.anyio


@pytest.fixture
def issuer() -> TestIssuer:
    return TestIssuer("", datetime.now(UTC))


@pytest.fixture
async def site(repository: Repository, issuer: TestIssuer, tmp_path: Path) -> AsyncIterator[Site]:
    def named(url: str) -> Issuer:
        issuer.audience = url
        return Issuer(NAME, url, issuer.write(tmp_path))

    async with serving_site(repository, issuer=named, has_engine=False) as site:
        yield site


async def test_a_token_of_the_issuer_works_as_its_subject(
    site: Site, issuer: TestIssuer, generation: Generation
) -> None:
    async with site.agent(issuer.token(sub="auth0|5f"), "ada", generation) as ada:
        change = await ada.start()

    assert (await site.server.record(change)).principal == "token:auth0|5f"


async def test_scopes_of_the_issuer_hold_as_ours_do(site: Site, issuer: TestIssuer) -> None:
    async with site.agent(issuer.token(scope="review")) as ada:
        assert await ada.refused("start_change", title="x", intent="x") == "not_allowed"
    assert (await site.post(issuer.token(scope="openid email"))).status_code == 403


async def test_whoever_is_sent_away_is_told_who_issues_tokens(site: Site, issuer: TestIssuer) -> None:
    where = f"{site.base}/.well-known/oauth-protected-resource/mcp"
    for token in (None, issuer.token(aud="https://other.example"), issuer.token(exp=1.0), issuer.token(iss="x")):
        answer = await site.post(token)
        assert answer.status_code == 401
        assert f'resource_metadata="{where}"' in answer.headers["www-authenticate"]

    told = (await site.http.get(where)).json()
    assert told["resource"] == site.url
    assert [url.rstrip("/") for url in told["authorization_servers"]] == [NAME]
    assert set(told["scopes_supported"]) == {"work", "review"}, "an agent's client asks for all that are named"


async def test_tokens_that_people_issue_work_beside_them(site: Site) -> None:
    assert (await site.post(await site.issue("bob"))).status_code == 200


async def test_where_there_is_no_issuer_nothing_is_said_of_one(repository: Repository, issuer: TestIssuer) -> None:
    async with serving_site(repository, has_engine=False) as site:
        issuer.audience = site.url

        assert (await site.post(issuer.token())).status_code == 401
        assert (await site.http.get(f"{site.base}/.well-known/oauth-protected-resource/mcp")).status_code == 404


async def test_keys_that_cannot_be_read_are_no_fault_of_the_token(
    repository: Repository, issuer: TestIssuer, tmp_path: Path
) -> None:
    gone = str(tmp_path / "gone.json")
    async with serving_site(repository, issuer=lambda url: Issuer(NAME, url, gone), has_engine=False) as site:
        issuer.audience = site.url
        answer = await site.post(issuer.token())

    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert gone not in answer.text
