"""Stages that the server runs itself: their output is an artifact like any other, and nobody claims them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatewright.gates.machine.commands import Answer, Cancel, Reopen, RetryGates
from gatewright.schemas.records import AttemptState, Cause, ChangeRecord, StageState

from .conftest import Repositories
from .house import Repository, Server, serving
from .test_survival import Machine, until_gone, wait_until_landed

pytestmark = pytest.mark.anyio

RENDER = "mkdir -p docs/generated && cat src/*.txt > docs/generated/all.txt"
EVE = "person:eve"


def running(command: str = RENDER, *, gate: str = "test -e src", more: str = "", top: str = "") -> str:
    """A pipeline in which `reference` is made out of what the agent of `code` writes."""
    return f"""\
version: 1
target: main
{top}
stages:
  code:
    goal: Make the change.
    writes: ["src/**", "calc.py", "docs/**"]
    gates: [{{command: {{name: ok, run: "test ! -e broken.txt"}}}}]
  reference:
    needs: [code]
    run: {command!r}
    writes: ["docs/generated/**"]
    gates: [{{command: {{name: links, run: {gate!r}}}}}]
    {more}
land: {{needs: [reference], strategy: merge}}
"""


def is_over(record: ChangeRecord) -> bool:
    return record.stage("reference").state not in {StageState.WAITING, StageState.EVALUATING}


async def landed(server: Server, change: str) -> ChangeRecord:
    """The change once it has landed; fails at once when people are asked about `reference`."""
    record = await server.until(change, lambda r: r.landed_commit is not None or r.stage("reference").escalation)
    assert record.landed_commit is not None, record.stage("reference").escalation
    return record


async def run_out(server: Server, change: str) -> ChangeRecord:
    """The change once the server has done with `reference`."""
    return await server.until(change, is_over)


async def question_of(server: Server, change: str) -> str:
    record = await run_out(server, change)
    escalation = record.stage("reference").escalation
    assert escalation is not None, record.stage("reference")
    return escalation.question


@pytest.mark.slow
async def test_what_the_server_generates_lands_with_what_the_agent_wrote(make: Repositories) -> None:
    repository = make(running(gate="grep -q one docs/generated/all.txt"))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        verdict = await ada.pass_stage({"src/a.txt": "one\n"})
        record = await landed(server, change)
        shown = await ada.get("read_artifact", change=change, stage="reference")
        evidence = await ada.get("get_evidence", change=change, stage="reference")

    attempt = record.stage("reference").artifact
    assert verdict["handed_to"] == ["reference"]
    assert "what the server makes of it" in verdict["next"]
    assert attempt is not None
    assert (attempt.holder, attempt.number) == ("server", 1)
    assert attempt.summary == f"The server ran `{RENDER}`, which wrote 1 path."
    assert repository.read("docs/generated/all.txt") == "one\n"
    assert repository.git("log", "--format=%an %cn", "-1", attempt.commit) == "gatewright gatewright"
    assert f"Gatewright-Change: {change}" in repository.git("log", "--format=%B", "-1", attempt.commit)
    assert shown["paths"] == ["docs/generated/all.txt"]
    assert {(gate["gate"], gate["outcome"]) for gate in evidence["gates"]} == {
        ("scope", "passed"), ("run", "passed"), ("links", "passed")
    }  # fmt: skip


@pytest.mark.slow
async def test_output_that_is_up_to_date_passes_with_the_commit_it_started_from(make: Repositories) -> None:
    """Nothing new is what an honest generator says the second time: its run is what counts."""
    repository = make(running())
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        handed = await ada.pass_stage({"src/a.txt": "one\n", "docs/generated/all.txt": "one\n"})
        record = await landed(server, change)
        evidence = await ada.get("get_evidence", change=change, stage="reference", gate="scope")

    attempt = record.stage("reference").artifact
    assert attempt is not None
    assert attempt.commit == handed["commit"]
    assert evidence["gates"][0]["unit"] == "runs"
    assert repository.read("docs/generated/all.txt") == "one\n"


@pytest.mark.slow
async def test_that_a_command_had_nothing_to_add_excuses_no_agent(make: Repositories) -> None:
    """The verdict of `scope` about an unchanged tree is not served to an agent who hands in nothing."""
    both = """\
version: 1
target: main
stages:
  first: {run: "test -e calc.py", writes: ["x/**"], gates: [{command: {name: ok, run: "test -e calc.py"}}]}
  code: {needs: [first], gates: [{command: {name: ok, run: "test -e calc.py"}}]}
land: {needs: [code]}
"""
    async with serving(make(both)) as server, server.agent() as ada:
        change = await ada.start()
        await server.until(change, lambda record: record.stage("code").state is StageState.OPEN)
        brief = await ada.claim()
        verdict = await ada.submit(brief)

    assert verdict["outcome"] == "failed", verdict.text
    assert "changes nothing" in verdict.text


@pytest.mark.slow
async def test_no_agent_can_claim_it_and_all_that_tell_of_it_say_who_works(make: Repositories) -> None:
    wait_s = 10
    repository = make(running(gate="test -e nowhere"))
    async with serving(repository, has_engine=False) as server, server.agent() as ada:
        change = await ada.start()
        waiting = await ada.call("claim_stage", agent="ada", change=change, stage="reference", wait_s=wait_s)
        brief = await ada.claim()
        await ada.submit(brief, {"src/a.txt": "one\n"}, wait_s=0)
        await pass_by_decision(server, change)
        named = await ada.call("claim_stage", agent="ada", change=change, stage="reference", wait_s=wait_s)
        anything = await ada.get("claim_stage", agent="ada", wait_s=0)
        status = await ada.get("get_status", change=change)
        news = await ada.get("wait_for_update", change=change, after=0, wait_s=0)
        verdict = await ada.get("wait_for_update", evaluation=f"{change}.e2", wait_s=0)
        forged = server.services.leases.token(change, "reference", 1)
        submitted = await ada.refused("submit_artifact", lease=forged, summary="x", files={"docs/generated/a": "x"})
        released = await ada.refused("release_stage", lease=forged, because="withdraw", reason="x")

    assert waiting.code == "stage_waiting"
    assert "the server runs it" in waiting["next"]
    assert named.code == "stage_evaluating"
    assert "The server runs 'reference'" in named["message"]
    assert (anything["kind"], "the server runs 'reference'" in anything["why"]) == ("none", True)
    stage = status["changes"][0]["stages"][1]
    assert (stage["state"], stage["holder"]) == ("evaluating", "server")
    assert "The server runs 'reference'" in stage["because"]
    assert any("the server runs 'reference'" in line for line in news["happened"])
    assert news["claimable"] == []
    assert (verdict["state"], verdict["stage"]) == ("running", "reference")
    assert (submitted, released) == ("stage_evaluating", "stage_evaluating")


async def pass_by_decision(server: Server, change: str) -> None:
    """Settle `code` as its evaluator would: there is none here."""
    from gatewright.gates.machine.commands import Settle
    from gatewright.schemas.records import GateOutcome, Outcome

    gates = (GateOutcome("scope", Outcome.PASSED), GateOutcome("ok", Outcome.PASSED))
    await server.decide(change, Settle("code", f"{change}.e1", gates))


@pytest.fixture
def signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that programs of gates can see, where a test shows them something."""
    folder = tmp_path / "signs"
    folder.mkdir()
    monkeypatch.setenv("GATEWRIGHT_READABLE", str(folder))
    return folder


@pytest.mark.slow
async def test_a_command_that_fails_tells_a_person_its_last_words_and_runs_again_when_told_to(
    make: Repositories, signs: Path
) -> None:
    mended = signs / "mended"
    repository = make(running(f"echo the template is missing; mkdir -p docs/generated; test -e {mended}"))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"src/a.txt": "one\n"})
        question = await question_of(server, change)
        evidence = await ada.get("get_evidence", change=change, stage="reference", gate="run")
        verdict = await ada.get("wait_for_update", evaluation=f"{change}.e2", wait_s=0)
        status = await ada.get("get_status", change=change)
        mended.touch()
        await server.decide(change, RetryGates("reference", EVE))
        record = await landed(server, change)

    assert "the template is missing" in question
    assert "the template is missing" in evidence["findings"][0]["message"]
    assert (verdict["outcome"], verdict["stage_state"]) == ("failed", "escalated")
    assert "gatewright why" in status["waiting_for_people"][0]
    assert [a.state for a in record.stage("reference").attempts] == [AttemptState.FAILED, AttemptState.PASSED]


@pytest.mark.slow
async def test_a_command_that_fails_reopens_the_stage_that_the_pipeline_names(make: Repositories) -> None:
    repository = make(running("echo no header; grep -q header src/a.txt", more="otherwise: {reopen: code}"))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"src/a.txt": "one\n"})
        await server.until(change, lambda record: record.stage("code").state is StageState.OPEN)
        brief = await ada.claim()
        await ada.submit(brief, {"src/a.txt": "header\n"})
        await landed(server, change)

    assert any("no header" in note for note in brief["notes"])
    assert repository.read("src/a.txt") == "header\n"


@pytest.mark.slow
async def test_a_gate_judges_what_was_made(make: Repositories) -> None:
    repository = make(running(gate="grep -q two docs/generated/all.txt"))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"src/a.txt": "one\n"})
        question = await question_of(server, change)
        shown = await ada.get("read_artifact", change=change, stage="reference", path="docs/generated/all.txt")

    assert "links" in question
    assert shown["text"] == "one\n", "what was made can be looked at"
    assert not repository.has("docs")


@pytest.mark.slow
async def test_a_program_that_is_not_there_is_tried_again_and_then_told_to_people(
    make: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatewright.gates.machine.settlement.ERROR_RETRY_DELAYS_S", (0.0,))
    repository = make(running("no-such-program --render"))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"src/a.txt": "one\n"})
        first = await ada.get("wait_for_update", evaluation=f"{change}.e2", wait_s=20)
        record = await run_out(server, change)

    escalation = record.stage("reference").escalation
    assert escalation is not None
    assert (escalation.cause, "not found" in escalation.question) == (Cause.GATE_BROKEN, True)
    assert len(record.stage("reference").attempts) == 2
    assert first["outcome"] == "errored", "who waits for the first run waits for the last"


@pytest.mark.slow
async def test_what_it_changes_of_the_rules_waits_for_a_person(make: Repositories) -> None:
    repository = make(running("echo x > conftest.py && test -e calc.py").replace("docs/generated/**", "conftest.py"))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"src/a.txt": "one\n"})
        record = await run_out(server, change)
        claim = await ada.call("claim_stage", agent="ada", change=change, stage="reference")
        await server.decide(change, Answer("reference", None, True, EVE, "Fine."))
        await landed(server, change)

    assert record.stage("reference").state is StageState.IN_REVIEW
    assert claim.code == "stage_in_review"
    assert repository.read("conftest.py") == "x\n"


@pytest.mark.slow
async def test_a_stage_without_needs_runs_when_the_change_starts(make: Repositories) -> None:
    pipeline = running(gate="test -e docs").replace("needs: [code]", "")
    pipeline = pipeline.replace("  code:\n", "  code:\n    needs: [reference]\n")
    pipeline = pipeline.replace("land: {needs: [reference]", "land: {needs: [code]").replace("src/*.txt", "calc.py")
    repository = make(pipeline)
    async with serving(repository) as server, server.agent() as ada:
        started = await ada.get("start_change", title="x", intent="x")
        change = started["change"]
        await server.until(change, lambda record: record.stage("code").state is StageState.OPEN)
        brief = await ada.claim()
        await ada.submit(brief, {"src/a.txt": "one\n"})
        await landed(server, change)

    assert started["open"] == []
    assert "wait_for_update" in started["next"]
    assert brief["inputs"][0]["stage"] == "reference"
    assert brief["inputs"][0]["paths"] == ["docs/generated/all.txt"]
    assert (repository.path / "docs/generated/all.txt").exists()


@pytest.mark.slow
async def test_reopening_has_it_run_again_and_cancelling_ends_it(make: Repositories, signs: Path) -> None:
    repository = make(running(f"while test ! -e {signs}/go; do sleep 0.02; done; {RENDER}"))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"src/a.txt": "one\n"})
        before = await server.record(change)
        await server.decide(change, Reopen("code", EVE, "One more."))
        brief = await ada.claim()
        ended = await ada.get("wait_for_update", evaluation=f"{change}.e2", wait_s=20)
        await ada.submit(brief, {"src/a.txt": "two\n"})
        cancelled = await server.decide(change, Cancel(EVE, "enough"))
        other = await ada.start()
        await ada.pass_stage({"src/a.txt": "three\n"}, other)
        (signs / "go").touch()
        await landed(server, other)

    assert before.stage("reference").transform == f"{change}.e2"
    assert (ended["state"], ended["outcome"]) == ("settled", "errored")
    assert cancelled.stage("reference").attempts == ()
    assert repository.read("docs/generated/all.txt") == "three\n"


@pytest.mark.slow
async def test_two_changes_that_generate_the_same_file_land_one_after_the_other(make: Repositories) -> None:
    """A conflict in what is generated goes to the agent, who takes the target in; then it is generated anew."""
    repository = make(running())
    async with serving(repository) as server, server.agent() as ada:
        one, other = await ada.start("one"), await ada.start("other")
        first, second = await ada.claim(one), await ada.claim(other)
        await ada.submit(first, {"src/a.txt": "a\n"})
        await landed(server, one)
        await ada.submit(second, {"src/b.txt": "b\n"})
        await server.until(other, lambda record: record.stage("code").state is StageState.OPEN)
        brief = await ada.claim(other)
        workspace = Path(brief["workspace"])
        repository.git("merge", "--quiet", "--no-edit", "main", cwd=workspace)
        await ada.submit(brief)
        await landed(server, other)

    assert any("docs/generated/all.txt" in note for note in brief["notes"])
    assert repository.read("docs/generated/all.txt") == "a\nb\n"


@pytest.mark.slow
async def test_what_conflicts_before_it_is_told_with_its_paths(make: Repositories) -> None:
    pipeline = """\
version: 1
target: main
stages:
  one: {writes: ["a/**"], gates: [GATE]}
  other: {writes: ["a", "b/**"], gates: [GATE]}
  reference: {needs: [one, other], run: "mkdir -p gen && ls > gen/all", writes: ["gen/**"], gates: [GATE]}
land: {needs: [reference]}
""".replace("GATE", '{command: {name: ok, run: "test -e calc.py"}}')
    async with serving(make(pipeline)) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"a/x.txt": "x"}, change, "one")
        await ada.pass_stage({"a": "a file"}, change, "other")
        question = await question_of(server, change)

    assert "conflicts in a" in question


class Held(Machine):
    """A server that runs `reference` until the test lets it go."""

    def __init__(self, repository: Repository, release: Path) -> None:
        self.repository = repository
        self.release = release

    def gates(self) -> list[int]:
        """The processes of the command, with what confines them."""
        marker = str(self.release).encode()
        return [int(place.parent.name) for place in Path("/proc").glob("[0-9]*/cmdline") if marker in read(place)]


def read(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError:
        return b""


@pytest.fixture
def held(make: Repositories, signs: Path) -> Iterator[Held]:
    release = signs / "go"
    machine = Held(make(running(f"while test ! -e {release}; do sleep 0.05; done; {RENDER}")), release)
    yield machine
    machine.end()


@pytest.mark.slow
async def test_a_server_that_is_killed_in_the_middle_of_a_run_is_replaced_and_it_is_run_again(held: Held) -> None:
    async with held.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"src/a.txt": "one\n"})
        await held.until_started(1)
        killed, programs = held.server_pid(), held.gates()
        os.kill(killed, signal.SIGKILL)
        for pid in programs:
            await until_gone(pid)
        await ada.get("get_status", change=change)
        await held.until_started(1)
        held.let_go()
        await wait_until_landed(ada, change)
        evidence = await ada.get("get_evidence", change=change, stage="reference")

    assert held.server_pid() != killed
    assert (evidence["attempt"], evidence["evaluation"]) == (1, f"{change}.e2"), "the same evaluation, once"
    assert held.repository.read("docs/generated/all.txt") == "one\n"
    for pid in held.gates():
        await until_gone(pid)
