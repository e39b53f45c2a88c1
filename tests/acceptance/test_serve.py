"""`gatewright serve` as a process: how it ends, whether it is ready, what it refuses to be, and as one of a team."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from gatewright.server.store import open_database

from ..postgres import _emptied_database, database_url, postgres
from ..server.http.house import HEADERS, LIST_TOOLS, bearer
from .conftest import Repositories
from .house import PLAN, WITHIN_S, Agent, Generation, staged
from .serve_process import agent_of, issue_in, served, served_with, token_of, working
from .team import Team

__all__ = ["_emptied_database", "database_url", "postgres"]

pytestmark = pytest.mark.anyio

GATES = "https://gates.example"


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
                # Whoever comes later is answered: so it has begun with this one.
                assert other.get(f"{base}/healthz").status_code == 200
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
        (("--listen", "[::]:0", "--behind-tls-proxy", "127.0.0.1"), "to its own name"),
        (("--listen", "[::]:0", "--public-url", GATES, "--behind-tls-proxy", "127.0.0.1"), "no token is good"),
        (("--listen", "127.0.0.1:0", "--public-url", GATES, "--behind-tls-proxy", "127.0.0.1"), "no token is good"),
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


def test_half_a_team_is_told_what_is_missing(make: Repositories, capsys: pytest.CaptureFixture[str]) -> None:
    from gatewright.server.cli.main import main

    for options in (("--remote", "file:///x"), ("--state", "x"), ("--database-url", "postgresql://h/x")):
        assert main(["serve", *options]) == 2
        assert "three things together" in capsys.readouterr().err
