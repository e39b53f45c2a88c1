"""Four outcomes: what could not be judged is never a pass, costs the agent nothing, and ends with a person."""

import os
import signal
from pathlib import Path

import anyio
import pytest

from gatewright.gates.machine import settlement
from gatewright.gates.machine.commands import RetryGates
from gatewright.schemas.records import Cause, StageState
from gatewright.server.engine import judging

from .conftest import Repositories
from .house import OK_GATE, Agent, Repository, Server, serving, solo

pytestmark = pytest.mark.anyio


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own retries, without the pauses between them."""
    monkeypatch.setattr(settlement, "ERROR_RETRY_DELAYS_S", (0.0, 0.0))


@pytest.mark.slow
@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ('{command: {name: gone, run: "no-such-tool --version"}}', "no-such-tool"),
        ('{command: {name: bad, run: "exit 126"}}', "126"),
        ('{command: {name: killed, run: "kill -9 $$"}}', "SIGKILL"),
        ('{command: {name: slow, run: "sleep 60", timeout: 1s}}', "1 s"),
    ],
    ids=["missing tool", "126", "signal", "time-out"],
)
async def test_a_gate_that_cannot_judge_is_retried_and_then_a_persons_matter(
    make: Repositories, gate: str, told: str
) -> None:
    async with serving(make(solo(gate, OK_GATE))) as server, server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        verdict = await ada.submit(brief, {"a.txt": "a"})
        status = await ada.get("get_status", change=change)
        evidence = await ada.get("get_evidence", change=change, stage="code")
        broken = next(told["gate"] for told in evidence["gates"] if told["outcome"] == "errored")
        output = await ada.get("get_evidence", change=change, stage="code", gate=broken)
        stage = (await server.record(change)).stage("code")

    assert (verdict["outcome"], verdict["stage_state"]) == ("errored", "escalated"), verdict.text
    assert verdict["attempts_left"] == 3, "it costs no attempt"
    assert len(stage.attempts) == 1, "retried by the server, not by the agent"
    assert stage.attempts[0].error_retries == 2
    assert stage.escalation is not None
    assert stage.escalation.cause is Cause.GATE_BROKEN
    assert "not the agent's fault" in status["waiting_for_people"][0]
    assert told in output.text, output.text
    assert {g["gate"]: g["outcome"] for g in evidence["gates"]}["ok"] == "passed"


@pytest.mark.slow
@pytest.mark.usefixtures("quick_retries")
@pytest.mark.usefixtures("unconfined")
async def test_a_person_has_the_same_commit_judged_again_once_the_gate_is_mended(make: Repositories) -> None:
    repository = make()
    switch = repository.path.parent / "switch"
    gate = f'{{command: {{name: flaky, run: "test -e {switch} || exit 127"}}}}'
    repository.commit("Use the switch", gatewright__yaml=solo(gate))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        verdict = await ada.submit(await ada.claim(), {"a.txt": "a"})
        assert verdict["stage_state"] == "escalated", verdict.text
        make_file(str(switch))
        await server.decide(change, RetryGates("code", "person:eve"))
        record = await server.landed(change)

    assert [attempt.commit for attempt in record.stage("code").attempts] == [verdict["commit"]] * 2


def make_file(path: str) -> None:
    Path(path).touch()


@pytest.mark.slow
async def test_a_failure_outranks_an_error(make: Repositories) -> None:
    """The agent can act on the one and nobody can on the other."""
    gates = ('{command: {name: gone, run: "no-such-tool"}}', '{command: {name: bad, run: "exit 1"}}')
    async with serving(make(solo(*gates))) as server, server.agent() as ada:
        await ada.start()
        verdict = await ada.submit(await ada.claim(), {"a.txt": "a"})

    assert (verdict["outcome"], verdict["stage_state"]) == ("failed", "claimed")


@pytest.mark.usefixtures("quick_retries")
async def test_nothing_counted_is_no_pass(make: Repositories) -> None:
    """No test ran, no Python file was there: an empty report is no verdict in favour of anybody."""
    repository = make(solo("test"))
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        verdict = await ada.submit(brief, {"notes.txt": "nothing to test"})

    assert verdict["outcome"] != "passed", verdict.text


async def test_the_same_findings_three_times_running_stop_the_loop(server: Server, ada: Agent) -> None:
    """Rule 5: told as a warning the second time, a person's matter the third."""
    await ada.start()
    brief = await ada.claim()
    one = await ada.submit(brief, {"broken.txt": "1"})
    two = await ada.submit(brief, {"broken.txt": "2"})
    three = await ada.submit(brief, {"broken.txt": "3"})

    assert one["warning"] is None
    assert two["warning"]
    assert three["stage_state"] == "escalated"


@pytest.mark.slow
@pytest.mark.usefixtures("unconfined")
async def test_a_killed_runner_is_replaced_and_the_verdict_is_right(make: Repositories) -> None:
    """The runner of an evaluation is killed in the middle of a gate; its programs end with it, and it is run again."""
    repository = make()
    ran, release = repository.path.parent / "ran", repository.path.parent / "release"
    gate = f'{{command: {{name: slow, run: "echo $$ >> {ran}; while test ! -e {release}; do sleep 0.05; done"}}}}'
    repository.commit("Be slow", gatewright__yaml=solo(gate))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        running = await ada.submit(brief, {"a.txt": "a"}, wait_s=0)
        await until_lines(str(ran), 1)
        os.kill(runner_of(int(lines(str(ran))[0])), signal.SIGKILL)
        await until_lines(str(ran), 2)
        make_file(str(release))
        verdict = await ada.get("wait_for_update", evaluation=running["evaluation"])
        record = await server.landed(change)

    assert verdict["outcome"] == "passed"
    assert len(record.stage("code").attempts) == 1
    assert not is_alive(int(lines(str(ran))[0])), "what the killed runner had started is gone"


@pytest.mark.slow
@pytest.mark.usefixtures("unconfined")
async def test_a_runner_that_is_always_killed_ends_with_a_person_and_not_with_a_pass(
    make: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant I10: also the loop of lost runners is finite."""
    monkeypatch.setattr(settlement, "ERROR_RETRY_DELAYS_S", ())
    monkeypatch.setattr(judging, "STARTS_MAX", 2)
    # The gate's grandparent is the runner, above the supervisor.
    repository = make()
    gate = '{command: {name: murder, run: "kill -9 $(ps -o ppid= -p $(ps -o ppid= -p $PPID)) ; sleep 5"}}'
    repository.commit("Murder", gatewright__yaml=solo(gate))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.submit(await ada.claim(), {"a.txt": "a"}, wait_s=0)
        record = await server.until(change, lambda r: r.stage("code").state is not StageState.EVALUATING)

    assert record.stage("code").state in {StageState.ESCALATED, StageState.CLAIMED}
    assert record.landed_commit is None


async def test_a_defect_of_ours_in_an_evaluation_ends_with_a_person_and_not_in_a_loop(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant I10 holds for our own mistakes as well: the evaluation is not started for ever."""
    from gatewright.server.engine import jobs

    monkeypatch.setattr(settlement, "ERROR_RETRY_DELAYS_S", ())
    monkeypatch.setattr(judging, "STARTS_MAX", 2)
    starts = 0

    def fail(*_: object) -> None:
        nonlocal starts
        starts += 1
        raise KeyError("a defect")

    monkeypatch.setattr(jobs, "make_job", fail)
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        verdict = await ada.submit(await ada.claim(), {"a.txt": "a"})
        record = await server.record(change)

    assert verdict["outcome"] == "errored"
    assert record.stage("code").state is StageState.ESCALATED
    assert starts <= 6


async def until_lines(path: str, count: int) -> None:
    with anyio.fail_after(20):
        while len(lines(path)) < count:  # noqa: ASYNC110 - another process wakes nobody here
            await anyio.sleep(0.02)


def lines(path: str) -> list[str]:
    place = Path(path)
    return place.read_text().split() if place.exists() else []


def runner_of(pid: int) -> int:
    """The runner above a gate's program: the nearest ancestor whose command line says so."""
    while pid > 1:
        if b"gates.runner" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    raise AssertionError("the gate does not run below a runner")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
async def test_the_evidence_of_a_gate_tells_at_which_level_of_isolation_it_ran(
    make: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")
    async with serving(make(solo(OK_GATE))) as server, server.agent() as ada:
        change = await ada.start()
        await ada.submit(await ada.claim(), {"a.txt": "a"})
        ran = await ada.get("get_evidence", change=change, stage="code", gate="ok")
        looked = await ada.get("get_evidence", change=change, stage="code", gate="scope")

    assert ran["environment"]["isolation"] == "process"
    assert "isolation" not in looked["environment"], "it runs no program"
