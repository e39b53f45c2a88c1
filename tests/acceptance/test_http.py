"""The same stories over HTTP: the journey, waits and notices across replicas, hostile words, and a server's end."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from gatewright.schemas import arguments
from gatewright.server.http.limits import Limits
from gatewright.server.identity import tokens
from gatewright.server.identity.scopes import Scope
from gatewright.server.people.known import Person, Proof
from gatewright.server.store import Store, open_database, open_store

from ..postgres import _emptied_database, database_url, postgres
from ..server.http.house import HEADERS, LIST_TOOLS, bearer, serving_site
from .conftest import Repositories
from .house import PLAN, WITHIN_S, Agent, Generation, Repository, check_reply, staged
from .team import Team
from .test_journey import JOURNEY, prepare, travel
from .test_notices import LIST, subscribe, unsubscribe, watching_over
from .test_reviews import REVIEWED, hand_in

__all__ = ["_emptied_database", "database_url", "postgres"]

pytestmark = pytest.mark.anyio

FORGED = "gw1.c1.code.r1." + "A" * 22
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "codex-mcp-client", "version": "1"},
    },
}


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


@pytest.mark.slow
async def test_a_notice_reaches_whoever_listens_at_another_replica(make: Repositories, generation: Generation) -> None:
    """The older generation subscribes by one request and hears on another: each of them at a replica of its own."""
    repository = make()
    async with serving_site(repository) as here, serving_site(repository) as there:
        token = await here.issue("ada")
        async with here.agent(token) as ada, httpx2.AsyncClient(headers=bearer(token), timeout=60) as http:
            first, second = await ada.start(), await ada.start()
            uri, other = f"gatewright://changes/{first}", f"gatewright://changes/{second}"
            transport = streamable_http_client(there.url, http_client=http)
            async with watching_over(transport, generation, other, lists=True) as (watcher, watch):
                if generation == "legacy":
                    await subscribe(watcher, uri)
                    await unsubscribe(watcher, other)
                with anyio.fail_after(WITHIN_S):
                    while not there.web.under_way.total:  # noqa: ASYNC110 - a stream that opens tells nobody
                        await anyio.sleep(0.02)
                wanted, unwanted = (uri, other) if generation == "legacy" else (other, uri)
                for change in (first, second):
                    await ada.claim(change)
                await ada.start()
                await watch.hears(wanted, LIST)

                assert unwanted not in watch.told
                there.web.drain()
                there.server.application.end_waits()
                with anyio.fail_after(WITHIN_S):
                    await there.web.under_way.until_none()


async def test_what_was_subscribed_at_one_replica_is_heard_of_at_another(make: Repositories) -> None:
    """As a balancer has it: the subscription here, the stream there; of the same session, and of no other."""
    repository = make()
    async with serving_site(repository) as here, serving_site(repository) as there:
        token, eve = await here.issue("ada"), await here.issue("eve")
        async with here.agent(token) as ada:
            change = await ada.start()
        uri = f"gatewright://changes/{change}"
        session = (await here.post(token, json=HELLO)).headers["mcp-session-id"]
        named = {"mcp-session-id": session, "mcp-protocol-version": "2025-11-25"}
        wish = {"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": {"uri": uri}}
        assert "error" not in (await here.post(token, json=wish, headers=named)).text
        strange = {**wish, "params": {"uri": "file:///etc/passwd"}}
        assert "There is no such resource" in (await here.post(token, json=strange, headers=named)).text
        assert "Mcp-Session-Id" in (await here.post(token, json=wish)).text
        for headers in ({}, {"mcp-session-id": "gw1.x"}, {**named, "accept": "application/json"}):
            assert (await there.http.get(there.url, headers={**bearer(token), **headers})).status_code == 405
        head = {**bearer(token), **named, "accept": "text/event-stream"}
        assert (await there.http.head(there.url, headers=head)).status_code == 405

        async def first_line(who: str) -> str:
            headers = {**bearer(who), **named, "accept": "text/event-stream"}
            async with there.http.stream("GET", there.url, headers=headers) as stream:
                async for line in stream.aiter_lines():
                    if line == ": here":
                        opened.append(who)
                    if line.startswith("data: ") and "updated" in line:
                        return line
            return ""

        opened: list[str] = []
        heard: dict[str, str] = {}

        async def hear(who: str) -> None:
            heard[who] = await first_line(who)

        with anyio.fail_after(WITHIN_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hear, token)
                tasks.start_soon(hear, eve)
                while len(opened) < 2:  # noqa: ASYNC110 - said by the other side
                    await anyio.sleep(0.02)
                async with here.agent(token) as ada:
                    await ada.claim(change)
                while token not in heard:  # noqa: ASYNC110 - as above
                    await anyio.sleep(0.02)
                tasks.cancel_scope.cancel()

    assert uri in heard[token]
    assert eve not in heard, "a session's id is of no use to another principal"


async def test_a_stream_is_cut_when_its_token_is_good_no_more(make: Repositories) -> None:
    repository = make()
    async with serving_site(repository, limits=Limits(recheck_s=0.05), has_engine=False) as site:
        token, other = await site.issue("ada"), await site.issue("ada")
        session = (await site.post(token, json=HELLO)).headers["mcp-session-id"]
        headers = {**bearer(token), "mcp-session-id": session, "accept": "text/event-stream"}
        with anyio.fail_after(WITHIN_S):
            async with site.http.stream("GET", site.url, headers=headers) as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == ": here"
                await site.revoke(token)
                with suppress(httpx2.RemoteProtocolError):
                    async for line in lines:
                        assert not line.startswith("data")
            await site.web.under_way.until_none()
        assert (await site.post(other)).status_code == 200, "another token of the subject is another"


async def test_an_old_client_is_known_by_its_name_at_every_replica(make: Repositories) -> None:
    """How long it can bear to wait depends on it, and it says its name once."""
    repository = make()
    from gatewright.server import calls

    async with serving_site(repository, has_engine=False) as here, serving_site(repository, has_engine=False) as there:
        token = await here.issue("ada")
        greeted = await here.post(token, json=HELLO)
        session = greeted.headers["mcp-session-id"]
        names: list[str] = []
        original = calls.call_tool

        async def spy(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as it is called
            names.append(named["client"])
            return await original(*given, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(calls, "call_tool", spy)
            for sent in (session, "gw1.!!!", "gw1." + "A" * 5_000, "0123", ""):
                call = {
                    "jsonrpc": "2.0",
                    "id": 2,
                    "method": "tools/call",
                    "params": {"name": "get_status", "arguments": {}},
                }
                answer = await there.post(
                    token, json=call, headers={"mcp-session-id": sent, "mcp-protocol-version": "2025-11-25"}
                )
                assert answer.status_code == 200, answer.text

    assert names == ["codex-mcp-client", "", "", "", ""]


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


class Served:
    """`gatewright serve` as a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process = process
        self.url = url

    def end(self, within_s: float = WITHIN_S) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)


def served(repository: Repository, *more: str) -> AbstractContextManager[Served]:
    return served_with("--repo", str(repository.path), *more)


@contextmanager
def served_with(*options: str, **environment: str) -> Generator[Served]:
    command = [sys.executable, "-m", "gatewright", "serve", "--listen", "127.0.0.1:0", *options]
    whole = {**os.environ, **environment}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=whole) as process:
        try:
            assert process.stdout is not None
            readable, _, _ = select.select([process.stdout], [], [], WITHIN_S + 40)
            assert readable, "it never said where it listens"
            line = process.stdout.readline()
            assert line.startswith("Serving on "), f"{line}{process.stderr.read() if process.stderr else ''}"
            yield Served(process, line.removeprefix("Serving on ").strip())
        finally:
            process.kill()


def token_of(repository: Repository) -> str:
    with closing(open_store(repository.state, create=False)) as store:
        return issue_in(store)


def issue_in(store: Store) -> str:
    """As a person issues one at a terminal."""
    token, now, by = tokens.new_token(), datetime.now(UTC), Person("ann", Proof.WORD)
    scopes, lifetime = frozenset({Scope.WORK}), timedelta(days=1)
    store.run(lambda tx: tokens.issue(tx, token, subject="ada", scopes=scopes, lifetime=lifetime, by=by, now=now))
    return token


@asynccontextmanager
async def agent_of(url: str, token: str, generation: Generation = "auto") -> AsyncGenerator[Agent]:
    async with (
        httpx2.AsyncClient(headers=bearer(token), timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=generation) as client,
    ):
        yield Agent(client, "ada")


@pytest.mark.slow
async def test_a_server_that_is_told_to_end_lets_calls_end_takes_nothing_new_and_ends_well(
    make: Repositories, generation: Generation
) -> None:
    repository = make()
    with served(repository) as server:
        token = token_of(repository)
        base = server.url.removesuffix("/mcp")
        async with agent_of(server.url, token, generation) as ada, httpx2.AsyncClient() as http:
            change = await ada.start()
            await ada.claim(change)
            position = (await ada.get("wait_for_update", change=change, wait_s=0))["position"]
            with anyio.fail_after(WITHIN_S):
                while (await http.get(f"{base}/readyz")).status_code != 200:  # noqa: ASYNC110 - of another process
                    await anyio.sleep(0.05)
            told: list[Any] = []

            async def wait() -> None:
                told.append(await ada.call("wait_for_update", change=change, after=position, wait_s=60))

            with anyio.fail_after(WITHIN_S):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wait)
                    await anyio.sleep(0.5)  # until the server has it, which tells nobody
                    assert not told
                    server.process.send_signal(signal.SIGTERM)
        ended = await anyio.to_thread.run_sync(lambda: server.process.wait(WITHIN_S))
        errors = server.process.stderr.read() if server.process.stderr else ""

    assert (told[0].is_refused, told[0]["happened"]) == (False, []), "it answers with what there is"
    assert ended == 0, errors
    assert "Traceback" not in errors, errors
    assert token not in errors


@pytest.mark.slow
def test_a_server_that_is_to_end_says_so_to_whoever_asks_and_takes_no_call(make: Repositories) -> None:
    repository = make()
    with served(repository, "--drain", "20") as server:
        token, base = token_of(repository), server.url.removesuffix("/mcp")
        with httpx2.Client(timeout=WITHIN_S) as http, httpx2.Client(timeout=WITHIN_S) as other:
            # A request that is under way for as long as its body does not end.
            def body() -> Iterator[bytes]:
                yield b'{"jsonrpc":"2.0","id":1,"method":"tools/list"'
                server.process.send_signal(signal.SIGTERM)
                _until(lambda: other.get(f"{base}/readyz").status_code == 503)
                answers.extend(
                    [
                        other.get(f"{base}/healthz"),
                        other.post(server.url, headers={**HEADERS, **bearer(token)}, json=LIST_TOOLS),
                    ]
                )
                yield b"}"

            answers: list[httpx2.Response] = []
            answers.append(http.post(server.url, headers={**HEADERS, **bearer(token)}, content=body()))
        ended = server.process.wait(WITHIN_S)

    lives, new, under_way = answers
    assert (lives.status_code, new.status_code, under_way.status_code) == (200, 503, 200)
    assert "retry-after" in new.headers
    assert ended == 0


@pytest.mark.slow
def test_who_cannot_wait_says_it_twice(make: Repositories) -> None:
    """The second signal cuts what is under way."""
    repository = make()
    with served(repository, "--drain", "600") as server:
        token = token_of(repository)

        def endless() -> Iterator[bytes]:
            yield b"{"
            server.process.send_signal(signal.SIGTERM)
            _until(lambda: httpx2.get(f"{server.url.removesuffix('/mcp')}/readyz").status_code == 503)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(WITHIN_S)

        # Cut off, or told that it was: never an answer.
        with httpx2.Client(timeout=WITHIN_S) as http, suppress(httpx2.TransportError):
            assert http.post(server.url, headers={**HEADERS, **bearer(token)}, content=endless()).status_code >= 400

        assert server.process.wait(WITHIN_S) == 0


@pytest.mark.slow
def test_a_server_whose_store_is_gone_lives_and_is_not_ready(make: Repositories) -> None:
    repository = make()
    with served(repository) as server, httpx2.Client(timeout=WITHIN_S) as http:
        base = server.url.removesuffix("/mcp")
        _until(lambda: http.get(f"{base}/readyz").status_code == 200)
        (repository.state / "state.db").rename(repository.state / "elsewhere.db")

        gone = http.get(f"{base}/readyz")
        lives = http.get(f"{base}/healthz")
        asked = http.post(server.url, headers={**HEADERS, **bearer("gwt_" + "A" * 43)}, json=LIST_TOOLS)
        (repository.state / "elsewhere.db").rename(repository.state / "state.db")
        back = http.get(f"{base}/readyz")

    assert (gone.status_code, lives.status_code, asked.status_code, back.status_code) == (503, 200, 503, 200)
    assert str(repository.path) not in gone.text + asked.text


def _until(is_so: Any) -> None:  # noqa: ANN401 - a question
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--listen", "0.0.0.0:0"), "nothing would be encrypted"),
        (("--listen", "[::]:0", "--behind-tls-proxy", "127.0.0.1"), "no token is good"),
        (("--listen", "127.0.0.1:0", "--behind-tls-proxy", "127.0.0.1"), "no token is good"),
        (("--listen", "nonsense"), "HOST:PORT"),
        (("--tls-cert", "/nothing"), "go together"),
        (("--oauth-issuer", "https://a.example", "--oauth-keys", "http://a.example/keys"), "https"),
        (("--behind-tls-proxy", "everybody"), "no address"),
        (("--public-url", "https://ann:secret@gates.example"), "no http(s) URL"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused_in_a_sentence(
    make: Repositories, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    from gatewright.server.cli.main import main

    repository = make()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", os.environ["HOME"])
        status = main(["--repo", str(repository.path), "serve", *options])

    told = capsys.readouterr()
    assert status in (2, 3)
    assert said in told.err
    assert "Traceback" not in told.err


@pytest.mark.slow
async def test_two_replicas_of_a_team_answer_about_one_change(tmp_path: Path, database_url: str) -> None:
    """On PostgreSQL and a shared remote, each with a folder of its own: the command, as it is deployed."""
    team = Team(tmp_path / "team")
    with closing(open_database(database_url)) as store:
        store.run(lambda tx: tx.meta_set("target", "main"))
        token = issue_in(store)
    environment = {"GATEWRIGHT_DATABASE_URL": database_url}
    with (
        served_with("--remote", team.url, "--state", str(tmp_path / "one"), **environment) as one,
        served_with("--remote", team.url, "--state", str(tmp_path / "two"), **environment) as two,
    ):
        async with agent_of(one.url, token) as ada, agent_of(two.url, token, "legacy") as ada_there:
            change = await ada.start()
            brief = await ada_there.claim(change)
            position = (await ada.get("wait_for_update", change=change, wait_s=0))["position"]
            heard: list[Any] = []

            async def wait() -> None:
                heard.append(await ada.get("wait_for_update", change=change, after=position, wait_s=40))

            with anyio.fail_after(WITHIN_S):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wait)
                    await ada_there.get("release_stage", lease=brief["lease"], because="done_for_now", reason="Lunch.")
        ended = (one.end(), two.end())

    assert heard[0]["happened"]
    assert ended == (0, 0)


@pytest.mark.slow
async def test_a_team_takes_a_change_from_its_plan_to_the_remote(
    tmp_path: Path, database_url: str, generation: Generation
) -> None:
    """Two servers, a worker, a database, a remote, and two agents who share no folder: calls go to either replica."""
    team = Team(tmp_path / "team", staged())
    with closing(open_database(database_url)) as store:
        store.run(lambda tx: tx.meta_set("target", "main"))
        token = issue_in(store)
    environment = {"GATEWRIGHT_DATABASE_URL": database_url}

    def place(name: str) -> tuple[str, ...]:
        return ("--remote", team.url, "--state", str(tmp_path / name))

    with (
        served_with(*place("one"), **environment) as one,
        served_with(*place("two"), **environment) as two,
        working(*place("worker"), **environment) as worker,
    ):
        async with agent_of(one.url, token, generation) as here, agent_of(two.url, token, generation) as there:
            ada, bob = team.clone("ada"), team.clone("bob")
            change = await here.start()
            plan = await there.claim(change)
            ada.follow(plan, **{f"docs/changes/{change}.md": PLAN})
            planned = await here.get("submit_artifact", lease=plan["lease"], summary="Plan.", wait_s=60)
            code = await here.claim(change)
            bob.follow(code, **{"sub.py": "def sub(a, b):\n    return a - b\n"})
            coded = await there.get("submit_artifact", lease=code["lease"], summary="Code.", wait_s=60)
            landed = await _landed(here, change)
        ended = (one.end(), two.end())
        worker.send_signal(signal.SIGTERM)
        worker.wait(WITHIN_S)

    assert (planned["outcome"], coded["outcome"]) == ("passed", "passed"), f"{planned.text}\n{coded.text}"
    assert landed == f"landed on 'main' as {team.tip()}"
    assert {"sub.py", f"docs/changes/{change}.md"} <= team.files()
    assert ended == (0, 0)


async def _landed(agent: Agent, change: str) -> str:
    """How the change stands once it has landed."""
    position = (await agent.get("wait_for_update", change=change, wait_s=0))["position"]
    with anyio.fail_after(3 * WITHIN_S):
        while True:
            (status,) = (await agent.get("get_status", change=change))["changes"]
            if status["state"] == "landed":
                return str(status["landing"])
            position = (await agent.get("wait_for_update", change=change, after=position, wait_s=20))["position"]


@contextmanager
def working(*options: str, **environment: str) -> Generator["subprocess.Popen[bytes]"]:
    """`gatewright worker` as a process of its own."""
    command = [sys.executable, "-m", "gatewright", "worker", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **environment}) as process:
        try:
            yield process
        finally:
            process.kill()


def test_half_a_team_is_told_what_is_missing(make: Repositories, capsys: pytest.CaptureFixture[str]) -> None:
    from gatewright.server.cli.main import main

    for options in (("--remote", "file:///x"), ("--state", "x"), ("--database-url", "postgresql://h/x")):
        assert main(["serve", *options]) == 2
        assert "go together" in capsys.readouterr().err
