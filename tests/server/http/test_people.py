"""People's commands over HTTP: who may give them, about what, once, and what whoever tries otherwise is told.

Nothing is judged here but one instant gate; that the rest of the way is the same is told in tests/acceptance.
"""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx2
import pytest

from gatewright.schemas.decisions import TAKES
from gatewright.schemas.records import ChangeRecord
from gatewright.server.http import people
from gatewright.server.http.limits import Limits, Rate
from gatewright.server.identity.caller import Caller, person_of
from gatewright.server.identity.scopes import Scope
from gatewright.server.operations.deeds import DEEDS
from gatewright.server.people.known import Person

from ...acceptance.house import OK_GATE, Clock, Repository, Told, solo
from .house import HEADERS, Site, bearer, serving_site

pytestmark = pytest.mark.anyio

DECIDING = tuple(TAKES)
DAY_S = 86_400.0
JSON = {"content-type": "application/json"}
FULL: Mapping[str, dict[str, object]] = {
    "approve": {"change": "c1", "stage": "code"},
    "reject": {"change": "c1", "stage": "code"},
    "answer": {"change": "c1", "stage": "code", "allow": True},
    "reopen": {"change": "c1", "stage": "code", "reason": "it is wrong"},
    "retry-gates": {"change": "c1", "stage": "code"},
    "grant-attempts": {"change": "c1", "stage": "code", "count": 2},
    "repin": {"change": "c1", "reason": "asked for"},
    "cancel": {"change": "c1", "reason": "no longer wanted"},
    "land": {"change": "c1"},
}
NASTY = (
    "../../etc/passwd",
    "--output=/tmp/x",
    "refs/heads/main",
    "c1/../c2",
    "c1; DROP TABLE change",
    "' OR 1=1 --",
    "c1\0",
    "c1\n",
    "\x1b[2J",
    "\u202e1c",
    "\uff431",
    " c1",
    "c" + "1" * 199,
    "x" * 100_000,
    "%s%n{0}",
    "\ud800",
)


class Door:
    """What a person's program sees of a site; `brief` is the maker's."""

    def __init__(self, site: Site, brief: Told | None = None) -> None:
        self.site = site
        self._brief = brief

    @property
    def brief(self) -> Told:
        assert self._brief is not None, "nothing was made here"
        return self._brief

    async def post(self, command: str, token: str | None, body: object, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {**JSON, **({} if token is None else bearer(token)), **headers}
        return await self.site.http.post(f"{self.site.base}/people/{command}", content=content, headers=given)

    async def asked(self, command: str, token: str, change: str = "c1", stage: str = "code") -> dict[str, object]:
        body = {"command": command, "change": change, "stage": stage}
        answer = await self.post("asked", token, body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        names = ("number", "commit", "target", "policy") if command == "approve" else ("subject", "gates")
        return {"change": change, "stage": stage, "shown": {name: told[name] for name in names}}

    async def record(self, change: str = "c1") -> ChangeRecord:
        return await self.site.server.record(change)

    async def kinds(self) -> list[str]:
        services = self.site.server.services
        return [event.kind for _, event in await services.read(lambda tx: tx.events("c1", limit=500))]


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    assert "Traceback" not in answer.text
    told = answer.json()
    assert set(told) == {"code", "message", "next"}, told
    return answer.status_code, told["code"]


@pytest.fixture
async def door(site: Site) -> Door:
    """c1/code waits for a person's answer to the question of agent `ada`, whose token has every scope."""
    token = await site.issue("ada", *Scope)
    async with site.agent(token) as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        await ada.get("release_stage", lease=brief["lease"], because="needs_decision", reason="Tabs or blanks?")
    return Door(site)


def test_what_a_person_can_ask_for_is_what_can_be_done() -> None:
    assert TAKES.keys() == DEEDS.keys() == FULL.keys()


async def test_nobody_decides_without_a_token_or_with_one_that_is_not_for_it(door: Door) -> None:
    before = await door.kinds()
    worker = await door.site.issue("eve", Scope.WORK, Scope.REVIEW)
    others = {scope: await door.site.issue("eve", *(set(Scope) - {scope})) for scope in (Scope.APPROVE, Scope.ADMIN)}

    for command in DECIDING:
        assert (await door.post(command, None, FULL[command])).status_code == 401
        for token in (worker, others[DEEDS[command].scope]):
            assert code_of(await door.post(command, token, FULL[command])) == (403, "not_allowed"), command
    for nobody in ("gwt_" + "x" * 43, "a.b.c", worker[:-1]):
        assert (await door.post("approve", nobody, FULL["approve"])).status_code == 401
    for command in ("asked", "diff", "why", "log"):
        assert (await door.post(command, None, {"change": "c1"})).status_code == 401
    assert await door.kinds() == before


@pytest.mark.slow
async def test_news_are_asked_for_after_any_position_that_a_store_may_have(door: Door) -> None:
    """Those of a shared database begin with the number of a transaction: 10**9 is soon passed."""
    token, last = await door.site.issue("ann", Scope.WORK), 2**63 - 1

    told = [await door.post("log", token, asked) for asked in ({"after": last}, {"change": "c1", "after": last})]

    assert [(answer.status_code, answer.json()["events"]) for answer in told] == [(200, []), (200, [])]
    async with door.site.agent(token) as ada:
        for change in ({}, {"change": "c1"}):
            assert (await ada.get("wait_for_update", after=10**30, wait_s=0, **change))["position"] <= last


async def test_a_person_answers_what_they_were_shown_and_the_record_says_by_which_token(door: Door) -> None:
    token = await door.site.issue("ann", Scope.APPROVE)
    body = {**await door.asked("answer", token), "allow": True, "note": "Blanks."}

    answered = await door.post("answer", token, body)
    again = await door.post("answer", token, body)

    assert answered.status_code == 200, answered.text
    assert answered.json() == {
        "change": "c1",
        "state": "active",
        "stages": [{"stage": "code", "state": "open"}],
        "landing": None,
    }
    assert answered.headers["cache-control"] == "no-store"
    assert code_of(again) == (400, "bad_argument"), "nothing is asked any more"
    services = door.site.server.services
    events = [event for _, event in await services.read(lambda tx: tx.events("c1", limit=500))]
    (given,) = [event for event in events if event.kind == "decision_given"]
    assert given.by == f"token:ann (token over HTTP, {door.site.issued[token]})"


async def test_what_was_not_shown_is_not_decided_about(door: Door) -> None:
    token, before = await door.site.issue("ann", Scope.APPROVE), await door.kinds()
    body = {**await door.asked("answer", token), "allow": True}
    shown = body["shown"]
    assert isinstance(shown, dict)

    unseen = await door.post("answer", token, {**body, "shown": None})
    unseen_by_key = await door.post("answer", token, {**body, "shown": None, "key": "k"})
    other = await door.post("answer", token, {**body, "shown": {**shown, "subject": "another"}})
    more = await door.post("answer", token, {**body, "shown": {**shown, "gates": ["ok"]}})

    assert {code_of(one) for one in (unseen, unseen_by_key, other, more)} == {(409, "question_stale")}
    assert await door.kinds() == before


@pytest.mark.parametrize("subject", ["ada", pytest.param("a-da", marks=pytest.mark.slow)])
async def test_whoever_held_the_stage_does_not_answer_about_it_whatever_the_token_may(door: Door, subject: str) -> None:
    """Nor under a name that is no other one where approvals are compared."""
    before = await door.kinds()
    own = await door.site.issue(subject, *Scope)

    answered = await door.post("answer", own, {**await door.asked("answer", own), "allow": True})

    assert code_of(answered) == (403, "own_work")
    assert await door.kinds() == before


@pytest.mark.slow
@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_token_that_ends_after_it_was_looked_at_decides_nothing(
    door: Door, clock: Clock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Between the look at the door and the transaction there is time."""
    tokens = {scope: await door.site.issue(f"ann-{scope}", scope) for scope in (Scope.APPROVE, Scope.ADMIN)}
    asked = await door.asked("answer", tokens[Scope.APPROVE])
    before, store, now = await door.kinds(), door.site.server.services.store, clock()

    def looked_at(caller: Caller, scope: Scope) -> Person:
        found = person_of(caller, scope)
        if how == "expired":
            clock.advance(DAY_S)
        else:
            store.run(lambda tx: tx.revoke_token(found.key or "", by="person:bob", now=now))
        return found

    for command in DECIDING:
        with monkeypatch.context() as between:
            between.setattr(people, "person_of", looked_at)
            body = {**asked, **FULL[command]} if command == "answer" else FULL[command]
            answer = await door.post(command, tokens[DEEDS[command].scope], body)
        if how == "expired":
            clock.advance(-DAY_S)
        if command not in ("approve", "reject"):  # nothing waits for those here
            assert (command, code_of(answer)) == (command, (403, "not_allowed"))
        if how == "revoked":
            tokens = {scope: await door.site.issue(f"ann-{scope}", scope) for scope in tokens}

    assert await door.kinds() == before


async def test_a_page_of_another_site_decides_nothing(door: Door) -> None:
    """Also one that knows the token: a browser asks first, and is told nothing."""
    token, before = await door.site.issue("ann", Scope.APPROVE), await door.kinds()
    body = {**await door.asked("answer", token), "allow": True}

    for origin in ("https://evil.example", "null"):
        assert (await door.post("answer", token, body, origin=origin)).status_code == 403
    assert (await door.post("answer", token, body, host="evil.example")).status_code == 421
    for simple in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx"):
        assert (await door.post("answer", token, body, **{"content-type": simple})).status_code == 415
    for method in ("OPTIONS", "GET", "PUT", "DELETE"):
        url = f"{door.site.base}/people/answer"
        answer = await door.site.http.request(method, url, headers={**bearer(token), **JSON})
        assert answer.status_code == 405
        assert "access-control-allow-origin" not in answer.headers
    query = await door.site.http.post(
        f"{door.site.base}/people/answer?access_token={token}", headers=JSON, content=json.dumps(body)
    )
    assert query.status_code == 401
    assert await door.kinds() == before


async def test_a_key_has_one_effect_for_its_owner_and_none_for_anybody_else(door: Door) -> None:
    ann, bob = await door.site.issue("ann", Scope.ADMIN), await door.site.issue("bob", Scope.ADMIN)
    body = {**FULL["grant-attempts"], "key": "k1"}

    first = await door.post("grant-attempts", ann, body)
    again = await door.post("grant-attempts", await door.site.issue("ann", Scope.ADMIN), body)
    more = await door.post("grant-attempts", ann, {**body, "count": 3})
    other = await door.post("reopen", ann, {**FULL["reopen"], "key": "k1"})
    anothers = await door.post("grant-attempts", bob, body)

    assert (first.status_code, first.json()) == (200, again.json())
    assert code_of(more) == code_of(other) == (409, "idempotency_conflict")
    assert anothers.status_code >= 400, "nothing is escalated any more"
    assert (await door.kinds()).count("attempts_granted") == 1


@pytest.mark.slow
async def test_each_command_of_operating_is_done_by_a_token_for_it(door: Door) -> None:
    token = await door.site.issue("ops", Scope.ADMIN)

    granted = await door.post("grant-attempts", token, FULL["grant-attempts"])
    repinned = await door.post("repin", token, FULL["repin"])
    nothing = [await door.post(command, token, FULL[command]) for command in ("reopen", "retry-gates", "land")]
    cancelled = await door.post("cancel", token, FULL["cancel"])
    over = await door.post("cancel", token, FULL["cancel"])

    assert granted.json()["stages"] == [{"stage": "code", "state": "open"}]
    assert repinned.status_code == 200
    assert all(400 <= one.status_code < 500 and "next" in one.json() for one in nothing)
    assert cancelled.json()["state"] == "cancelled"
    assert code_of(over) == (409, "change_over")


@pytest.mark.slow
@pytest.mark.parametrize("command", [*DECIDING, "asked", "diff", "why", "log"])
async def test_no_text_gets_further_than_a_comparison(door: Door, tmp_path: Path, command: str) -> None:
    """Whatever stands in a field: it is refused, or kept as the text that it is."""
    token = await door.site.issue("ann", Scope.APPROVE, Scope.ADMIN)
    shown = await door.asked("answer", token)
    before, refs = await door.kinds(), door.site.server.services.artifacts.git.text("for-each-ref")
    whole: dict[str, object] = {**FULL.get(command, {"change": "c1"}), "key": "k"}
    whole |= {"asked": {"command": "answer"}, "diff": {"command": "approve"}}.get(command, {})
    if command in ("asked", "diff", "why", "log"):
        whole.pop("key")
    if command in ("approve", "reject"):
        whole["shown"] = {"number": 1, "commit": "0" * 40, "target": "main", "policy": "0"}
        whole["signed"] = {"identity": "x", "signature": "x"}
    if command == "answer":
        whole |= shown

    for name, value in whole.items():
        fields = [(name,)] if not isinstance(value, dict) else [(name, inner) for inner in value]
        for path in fields:
            # What is written down as it is, is tried in the names alone.
            if path in (("reason",), ("note",), ("key",)) and command != "approve":
                continue
            for nasty in NASTY:
                body = json.loads(json.dumps(whole))
                (body if len(path) == 1 else body[path[0]])[path[-1]] = nasty
                answer = await door.post(command, token, body)
                assert 400 <= answer.status_code < 500, (path, nasty, answer.status_code, answer.text[:200])
                assert "Traceback" not in answer.text

    assert await door.kinds() == before
    assert door.site.server.services.artifacts.git.text("for-each-ref") == refs


async def test_what_is_no_command_is_answered_as_such(door: Door) -> None:
    token, before = await door.site.issue("ann", Scope.APPROVE, Scope.ADMIN), await door.kinds()
    bodies: tuple[bytes, ...] = (b"", b"{", b"[]", b"null", b'"x"', b"1" * 5_000, b"\xff\xfe", b"[" * 100_000)
    fields: tuple[dict[str, object], ...] = (
        {"by": "person:ann"},
        {"person": "ann"},
        {"count": "2"},
        {"count": 2.5},
        {"count": True},
        {"count": 10**30},
        {"count": -1},
        {"count": 21},
        {"key": ""},
        {"key": 5},
        {"change": None},
        {"stage": ["code"]},
        {"wait_for_previous": True},
    )

    for body in bodies:
        assert code_of(await door.post("grant-attempts", token, body)) == (400, "bad_argument"), body[:20]
    for field in fields:
        answer = await door.post("grant-attempts", token, {**FULL["grant-attempts"], **field})
        assert code_of(answer) == (400, "bad_argument"), field
    for path in ("", "approve/", "approve/x", "APPROVE", "register", "token", "%2e%2e/mcp"):
        url = httpx2.URL(door.site.base).copy_with(raw_path=f"/people/{path}".encode())
        answer = await door.site.http.post(url, headers={**JSON, **bearer(token)}, content=b"{}")
        assert (path, answer.status_code) == (path, 404)
    assert await door.kinds() == before


@pytest.mark.slow
async def test_a_body_that_is_too_large_is_not_read(door: Door) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b" " * 1_000

    token = await door.site.issue("ann", Scope.ADMIN)
    url, headers = f"{door.site.base}/people/cancel", {**JSON, **bearer(token)}
    declared = await door.post("cancel", token, json.dumps(FULL["cancel"]).encode().ljust(people.BODY_BYTES_MAX + 1))
    chunked = await door.site.http.post(url, content=chunks(), headers=headers)
    nobodys = await door.post("cancel", None, b" " * (people.BODY_BYTES_MAX + 1))

    assert (declared.status_code, chunked.status_code, nobodys.status_code) == (413, 413, 401)
    assert "change_cancelled" not in await door.kinds()


async def test_no_tool_decides_whatever_the_token_may(door: Door) -> None:
    token, before = await door.site.issue("ann", *Scope), await door.kinds()

    for command in DECIDING:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": command, "arguments": {}}}
        answer = await door.site.http.post(door.site.url, json=body, headers={**HEADERS, **bearer(token)})
        assert "there is no tool" in answer.text, answer.text
    assert await door.kinds() == before


@pytest.mark.slow
async def test_a_server_that_is_to_end_takes_no_decision(door: Door) -> None:
    token = await door.site.issue("ann", Scope.ADMIN)
    door.site.web.drain()

    answer = await door.post("cancel", token, FULL["cancel"])

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_requests_of_people_and_of_agents_are_counted_together(repository: Repository) -> None:
    limits = Limits(requests_of_principal=Rate(0.001, 4))
    async with serving_site(repository, limits=limits, has_engine=False) as site:
        token, door = await site.issue("ann", Scope.APPROVE), Door(site)
        told = [(await site.post(token)).status_code for _ in range(2)]
        told += [(await door.post("log", token, {})).status_code for _ in range(3)]

    assert told == [200, 200, 200, 200, 429]


@pytest.fixture
async def approving(tmp_path: Path) -> AsyncIterator[Door]:
    """c1/code, made by `ada`, waits for the approvals of two people."""
    repository = Repository(tmp_path / "approved", solo(OK_GATE, "{approval: {minimum: 2}}"))
    async with serving_site(repository) as site:
        async with site.agent(await site.issue("ada")) as ada:
            await ada.start()
            brief = await ada.claim()
            verdict = await ada.submit(brief, {"a.txt": "a"})
            assert verdict["stage_state"] == "in_review", verdict.text
        yield Door(site, brief)


@pytest.mark.slow
async def test_an_approval_is_of_the_commit_that_was_shown_by_two_people_neither_of_whom_made_it(
    approving: Door,
) -> None:
    door, site = approving, approving.site
    ann, twin, bob, ada = [await site.issue(name, Scope.APPROVE) for name in ("ann", "ann", "bob", "ada")]
    body = {**await door.asked("approve", ann), "note": "Read."}
    shown = body["shown"]
    assert isinstance(shown, dict)
    moved = {"number": 2, "commit": "0" * 40, "target": "other", "policy": "0" * 64}

    for name, value in moved.items():
        stale = await door.post("approve", ann, {**body, "shown": {**shown, name: value}})
        assert code_of(stale) == (409, "question_stale"), name
    blind = await door.post("approve", ann, {**body, "shown": None, "key": "k"})
    own = await door.post("approve", ada, body)
    unsigned = await door.post("approve", ann, {**body, "signed": {"identity": "ann", "signature": "x"}})
    assert (code_of(blind), code_of(own)) == ((409, "question_stale"), (403, "own_work"))
    assert code_of(unsigned) == (403, "not_allowed"), "a gate that counts people counts no signatures"

    first = await door.post("approve", ann, {**body, "key": "k"})
    repeated = await door.post("approve", ann, {**body, "key": "k"})
    second = await door.post("approve", twin, body)
    assert (first.status_code, first.json()) == (200, repeated.json())
    assert code_of(second) == (409, "already_approved"), "two tokens of one subject are one person"
    last = await door.post("approve", bob, {**await door.asked("approve", bob), "note": "Also."})
    assert last.json()["stages"] == [{"stage": "code", "state": "passed"}], last.text

    (attempt,) = (await door.record()).stage("code").attempts
    given = [(one.person, one.how, one.commit, one.target, one.note) for one in attempt.approvals]
    how = "token over HTTP, "
    assert given == [
        ("token:ann", how + site.issued[ann], attempt.commit, "main", "Read."),
        ("token:bob", how + site.issued[bob], attempt.commit, "main", "Also."),
    ]


@pytest.mark.slow
async def test_one_no_fails_the_attempt_and_the_next_one_has_to_be_looked_at_anew(approving: Door) -> None:
    door, site = approving, approving.site
    ann = await site.issue("ann", Scope.APPROVE)
    before = {**await door.asked("approve", ann), "key": "k"}

    rejected = await door.post("reject", ann, {**before, "note": "Not like this."})
    late = await door.post("approve", ann, {**before, "key": "other"})
    async with site.agent(await site.issue("ada")) as ada:
        # The lease is the maker's again, by the same fence.
        verdict = await ada.submit(door.brief, {"a.txt": "b"})
    assert verdict["stage_state"] == "in_review", verdict.text
    later = await door.post("approve", ann, {**before, "key": "more"})

    assert rejected.status_code == 200, rejected.text
    assert code_of(late) == (400, "bad_argument"), "nothing waits"
    assert code_of(later) == (409, "question_stale")
    assert (await door.record()).stage("code").attempts[-1].approvals == ()
