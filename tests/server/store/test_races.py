"""Several servers on one database do what the operations do, at the same moment: one winner each, nothing lost."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from threading import Barrier, Thread
from types import SimpleNamespace
from typing import Any

import anyio
import psycopg
import pytest

from gatewright.gates.machine.commands import Cancel, Claim, Settle, Submit
from gatewright.schemas.arguments import ClaimStage
from gatewright.schemas.records import ChangeState, GateOutcome, Outcome, StageState
from gatewright.schemas.refusals import Refusal, Refused
from gatewright.server.engine.execution import Execution
from gatewright.server.operations import stages
from gatewright.server.operations.repeating import Request
from gatewright.server.people.hashing import Hashed
from gatewright.server.people.register import add_person, begin_guess
from gatewright.server.store import Store, open_database
from gatewright.server.store.tx import Tx

from .hiring import WITHIN_S
from .opening import ON_POSTGRES
from .workbench import NOW, assert_whole, do, evaluation, start, started

pytestmark = ON_POSTGRES
SERVERS = 3
AGENTS = 9
# All of a server that claiming asks for beside the store.
SERVICES: Any = SimpleNamespace(clock=lambda: NOW)
ATOM = "a" * 40


@pytest.fixture
def servers(address: str) -> Iterator[list[Store]]:
    with ExitStack() as opened:
        yield [opened.enter_context(closing(open_database(address))) for _ in range(SERVERS)]


@pytest.fixture(autouse=True)
def without_deadlock(address: str) -> Iterator[None]:
    """Locks are taken in one order: the change first. A deadlock costs a second, and would be retried in silence."""
    before = deadlocks(address)
    yield
    assert deadlocks(address) == before


def deadlocks(address: str) -> object:
    with psycopg.connect(address) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        return connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    line = Barrier(count)

    def one(number: int) -> object:
        line.wait(WITHIN_S)
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def claim(store: Store, agent: str, key: str) -> str | None:
    """As `claim_stage` does it, without a workspace: the stage, or None when nothing is open."""
    request = Request(agent, "claim_stage", {"agent": agent}, key)
    arguments = ClaimStage(agent=agent)
    for is_patient in (False, True):

        def work(tx: Tx, is_patient: bool = is_patient) -> str:
            reference, _ = stages._claimed(tx, SERVICES, request, arguments, is_patient=is_patient)
            return f"{reference['change']}/{reference['stage']}"

        try:
            return store.run(work)
        except stages._Contended:
            continue
        except stages._NothingOpen:
            return None
    raise AssertionError("who is patient is told what there is")


def test_agents_on_several_servers_claim_everything_once(servers: list[Store]) -> None:
    started(servers[0], 20)

    def work(number: int) -> list[str]:
        agent, mine = f"agent-{number}", list[str]()
        while (got := claim(servers[number % SERVERS], agent, f"{number}.{len(mine)}")) is not None:
            mine.append(got)
        return mine

    told = at_once(AGENTS, work)

    claimed = Counter(stage for mine in told if isinstance(mine, list) for stage in mine)
    assert claimed == {f"c{number}/{stage}": 1 for number in range(1, 21) for stage in ("code", "docs")}
    for number in range(1, 21):
        assert_whole(servers[0], f"c{number}")


def test_a_claim_that_arrives_at_several_servers_at_once_is_one_claim(servers: list[Store]) -> None:
    """Without a named stage the second of them would find another one open."""
    started(servers[0], 5)

    told = at_once(AGENTS, lambda number: claim(servers[number % SERVERS], "ada", "one key"))

    assert len(set(told)) == 1
    records = servers[0].read(lambda tx: tx.changes(limit=9))
    held = [stage.name for record in records for stage in record.stages if stage.lease is not None]
    assert len(held) == 1


def test_the_last_open_stage_goes_to_one_and_the_others_are_told_that_nothing_is_open(servers: list[Store]) -> None:
    servers[0].run(start)
    assert claim(servers[0], "eve", "first") is not None

    told = at_once(AGENTS, lambda number: claim(servers[number % SERVERS], f"agent-{number}", "key"))

    assert Counter(told) == {"c1/code": 1, None: AGENTS - 1}


def test_a_verdict_and_the_end_of_its_change_come_one_after_the_other(servers: list[Store]) -> None:
    """Whoever settles takes the evaluation and the change, whoever cancels the change and the evaluation."""
    started(servers[0], 6)
    for number in range(1, 7):
        servers[0].run(partial(submitted, change=f"c{number}"))

    def race(number: int) -> object:
        change, server = f"c{number // 2 + 1}", servers[number % SERVERS]
        try:
            return server.run(partial(settle if number % 2 else cancel, change=change))
        except Refused:
            return False

    told = at_once(12, race)

    records = servers[0].read(lambda tx: tx.changes(limit=9, newest_first=False))
    assert [record.state for record in records] == [ChangeState.CANCELLED] * 6
    passed = [record.stage("code").state is StageState.PASSED for record in records]
    assert passed == told[1::2]
    for record in records:
        assert_whole(servers[0], record.id)


def submitted(tx: Tx, change: str) -> None:
    do(tx, change, Claim("code", "ada", "ada"))
    after = do(tx, change, Submit("code", 1, ATOM, ATOM, ATOM, "summary"))
    current = after.stage("code").current
    assert current is not None
    assert current.evaluation == f"{change}.e1"
    assert tx.start_evaluation(current.evaluation, "token", NOW, stale_before=NOW)


def cancel(tx: Tx, change: str) -> bool:
    do(tx, change, Cancel("eve", "no"))
    return True


def settle(tx: Tx, change: str) -> bool:
    evaluation = f"{change}.e1"
    tx.hold_change(change)
    if not tx.finish_evaluation(evaluation, "token", NOW):
        return False
    do(tx, change, Settle("code", evaluation, (GateOutcome("tests", Outcome.PASSED),)))
    return True


def test_a_start_and_the_end_of_its_change_come_one_after_the_other(servers: list[Store], address: str) -> None:
    """Whoever starts an evaluation reads its change as well, and that is to be alone with it."""
    started(servers[0])
    servers[0].run(queued)
    begun: list[object] = []
    starting = Thread(target=lambda: begun.append(begin(servers[1])))

    def end_it(tx: Tx) -> None:
        tx.hold_change("c1")
        if starting.ident is None:
            starting.start()
        until_somebody_waits(address)
        do(tx, "c1", Cancel("eve", "no"))

    servers[0].run(end_it)
    starting.join(WITHIN_S)

    assert begun == [None]


def queued(tx: Tx) -> None:
    do(tx, "c1", Claim("code", "ada", "ada"))
    do(tx, "c1", Submit("code", 1, ATOM, ATOM, ATOM, "summary"))


def begin(store: Store) -> object:
    async def run(work: Callable[[Tx], object], *, is_news: bool = True) -> object:
        return store.run(work)

    row = store.read(lambda tx: tx.find_evaluation("c1.e1"))
    services: Any = SimpleNamespace(clock=lambda: NOW, runs_as="server", run=run)
    runners: Any = None
    assert row is not None
    return anyio.run(Execution(services, runners, row).start)


def until_somebody_waits(address: str) -> None:
    gives_up_at = time.monotonic() + WITHIN_S
    with psycopg.connect(address, autocommit=True) as connection:
        while connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone() is None:
            assert time.monotonic() < gives_up_at, "nobody waits"


def test_of_many_who_guess_a_secret_at_once_one_is_heard(servers: list[Store]) -> None:
    servers[0].run(lambda tx: add_person(tx, "ann", Hashed("5a", "1f"), vouched=None, now=NOW))

    told = at_once(AGENTS, lambda number: servers[number % SERVERS].run(lambda tx: begin_guess(tx, "ann", NOW)))

    assert sum(not isinstance(answer, Refusal) for answer in told) == 1


def test_dry_runs_of_a_change_are_numbered_one_after_the_other(servers: list[Store]) -> None:
    servers[0].run(start)

    def enqueue(tx: Tx) -> str:
        tx.hold_change("c1")
        name = tx.next_dry_run("c1")
        tx.enqueue(evaluation(name))
        return name

    told = at_once(AGENTS, lambda number: servers[number % SERVERS].run(enqueue))

    assert sorted(map(str, told)) == sorted(f"c1.d{number}" for number in range(1, AGENTS + 1))
