"""`run-aider`: the brief goes in as a file, each edit is handed in by the test command, the server's word counts."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from gatewright.server.cli.aider import HAND_INS_MAX, AiderRun, run_aider
from gatewright.server.cli.command import CannotGoOn, Exit

from .conftest import PIPELINE, Desk, Ran

Call = Callable[..., Ran]

# What aider 0.86 does with these options: edit, run the test command, show its model what failed, three times; end
# with 0 whatever happened. EDITS are the texts that its model writes, one an answer.
AIDER = """\
#!{python}
import json, pathlib, subprocess, sys
arguments = sys.argv[1:]
told = {{}}
for name in ("--message-file", "--test-cmd"):
    told[name] = arguments[arguments.index(name) + 1]
seen = [pathlib.Path(told["--message-file"]).read_text()]
pathlib.Path(".aider.tags.cache.v4").mkdir(exist_ok=True)
pathlib.Path(".aider.tags.cache.v4/cache.db").write_text("cache")
statuses = []
for edit in {edits!r}:
    pathlib.Path({path!r}).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path({path!r}).write_text(edit)
    done = subprocess.run(
        ["/bin/sh", "-c", told["--test-cmd"]], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    seen.append(done.stdout + done.stderr)
    statuses.append(str(done.returncode))
    if done.returncode == 0 or len(statuses) == 4:
        break
pathlib.Path({notes!r}).write_text(json.dumps({{"arguments": arguments, "seen": seen, "statuses": statuses}}))
"""


class FakeAider:
    """A program named aider, what its model answers, and what it noted."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "aider"
        self._notes = folder / "notes.json"

    def answers(self, *edits: str, path: str = "docs/changes/c1.md") -> None:
        text = AIDER.format(python=sys.executable, edits=edits, path=path, notes=str(self._notes))
        self.program.write_text(text)
        self.program.chmod(0o755)

    @property
    def notes(self) -> dict[str, list[str]]:
        noted = json.loads(self._notes.read_text())
        assert isinstance(noted, dict)
        return noted


@pytest.fixture
def aider(tmp_path: Path) -> FakeAider:
    (tmp_path / "fake").mkdir()
    return FakeAider(tmp_path / "fake")


@pytest.mark.slow
def test_a_failed_gate_comes_back_as_the_next_message_and_the_stage_passes(
    ready: Desk, call: Call, aider: FakeAider
) -> None:
    call("start", "Answer", "--intent", "Answer with forty-two.")
    aider.answers("No heading.\n", "# Goal\nFrom aider.\n")

    told = ready.run("run-aider", "c1", "plan", "--aider", str(aider.program), "--arguments=--model scripted")

    assert told.status == Exit.OK, told
    assert told.out.startswith("Passed: c1/plan, attempt 2.")
    message, failed, passed = aider.notes["seen"]
    assert "Answer with forty-two." in message
    assert "gw1." not in message, "the model has no use for the lease"
    assert "document failed" in failed
    assert "docs/changes/c1.md" in failed
    assert passed.startswith("Passed")
    assert aider.notes["statuses"] == ["1", "0"]
    assert aider.notes["arguments"][-3:] == ["--model", "scripted", "docs/changes/c1.md"]
    handed_in = call("read", "c1", "plan").out
    assert ".aider" not in handed_in, "its cache was not handed in"
    assert not list(ready.top.glob(".gatewright/work/*/.aider.chat*"))


@pytest.mark.slow
def test_it_is_the_gates_word_that_counts_when_aider_gives_up_and_ends_with_0(
    ready: Desk, call: Call, aider: FakeAider
) -> None:
    call("start", "Answer")
    aider.answers("One.\n")

    told = ready.run("run-aider", "c1", "plan", "--json", "--aider", str(aider.program))

    assert told.status == Exit.FAILED, told
    assert (told.json["outcome"], told.json["attempt"]) == ("failed", 1)
    again = call("claim", "c1", "plan", "--agent", "bob", "--json")
    assert again.json["kind"] == "work", "the stage is free again"
    assert again.json["findings"], "and whoever takes it sees what was found"


@pytest.mark.slow
def test_an_aider_that_hands_in_nothing_frees_the_stage_and_is_no_success(
    ready: Desk, call: Call, aider: FakeAider
) -> None:
    call("start", "Answer")
    aider.answers()

    told = ready.run("run-aider", "c1", "plan", "--aider", str(aider.program))

    assert told.status == Exit.UNDECIDED, told
    assert "nothing was handed in; 'plan' is free again" in told.err
    assert call("claim", "c1", "plan", "--agent", "bob", "--json").json["kind"] == "work"


@pytest.mark.slow
def test_what_cannot_be_claimed_is_refused_as_by_claim_and_aider_is_not_started(
    ready: Desk, call: Call, aider: FakeAider
) -> None:
    call("start", "Answer")
    aider.answers("x")

    told = ready.run("run-aider", "c1", "code", "--aider", str(aider.program))

    assert told.status == Exit.REFUSED, told
    assert "'code' of c1 waits for 'plan'" in told.err
    with pytest.raises(FileNotFoundError):
        _ = aider.notes


@pytest.mark.slow
def test_what_reviewers_object_to_is_told_and_answered_and_they_look_again(
    desk: Desk, call: Call, aider: FakeAider
) -> None:
    gate = "      - review: {quorum: 1, independence: principal}\n"
    desk.commit({"gatewright.yaml": PIPELINE.replace("sections: [Goal]}\n", f"sections: [Goal]}}\n{gate}")})
    call("init")
    call("start", "Answer")
    aider.answers("# Goal\nVague.\n")
    first = desk.run("run-aider", "c1", "plan", "--aider", str(aider.program))
    anyio.run(_object, desk.top)
    aider.answers("# Goal\nForty-two.\n")

    second = desk.run("run-aider", "c1", "plan", "--aider", str(aider.program))

    assert (first.status, second.status) == (Exit.UNDECIDED, Exit.UNDECIDED), (first, second)
    assert "Say what." in aider.notes["seen"][0]
    assert aider.notes["statuses"] == ["0"], "whoever waits for reviewers has nothing to mend"
    assert call("evidence", "c1", "plan", "--json").json["attempt"] == 2


async def _object(top: Path) -> None:
    """Another client reviews the plan and rejects it."""
    arguments = ["-m", "gatewright", "--repo", str(top)]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    finding = {"severity": "blocking", "path": "docs/changes/c1.md", "line": 2, "message": "Say what."}
    async with Client(stdio_client(parameters)) as bob:
        claimed = await bob.call_tool("claim_stage", {"agent": "bob", "change": "c1", "stage": "plan"})
        brief = claimed.structured_content or {}
        given = {"lease": brief["lease"], "findings": [finding], "inspected": ["docs/changes/c1.md"]}
        reviewed = await bob.call_tool("review_artifact", given)
    assert not reviewed.is_error, reviewed


def test_without_aider_it_says_so_before_it_claims(ready: Desk, call: Call) -> None:
    told = call("run-aider", "c1", "plan", "--aider", "no-such-aider")

    assert told.status == Exit.REFUSED
    assert "There is no program no-such-aider here." in told.err


def _run_of(program: Path, folder: Path) -> AiderRun:
    return AiderRun(str(program), folder, folder / "brief.md", ["hand", "in ü"], ["a.md"], [])


def test_the_lease_is_kept_alive_meanwhile_and_an_interruption_ends_aider_with_its_children(tmp_path: Path) -> None:
    program = tmp_path / "aider"
    program.write_text("#!/bin/sh\nsleep 60 &\necho $! > child.new\nmv child.new child\nwait\n")
    program.chmod(0o755)

    def interrupt_once_it_runs() -> None:
        if (tmp_path / "child").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_aider(_run_of(program, tmp_path), {}, timeout_s=60, beat_s=0.05, on_beat=interrupt_once_it_runs)

    child = int((tmp_path / "child").read_text())
    assert not Path(f"/proc/{child}/exe").exists()


def test_one_that_never_ends_is_ended_when_its_time_is_up(tmp_path: Path) -> None:
    program = tmp_path / "aider"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o755)

    assert not run_aider(_run_of(program, tmp_path), {}, timeout_s=0.2, beat_s=0.1, on_beat=lambda: None)


def test_a_program_that_does_not_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "aider").write_text("not a program")

    with pytest.raises(CannotGoOn, match="does not start"):
        run_aider(_run_of(tmp_path / "aider", tmp_path), {}, timeout_s=1, beat_s=1, on_beat=lambda: None)


def test_the_test_command_is_quoted_for_the_shell_that_runs_it(tmp_path: Path) -> None:
    command = _run_of(tmp_path / "aider", tmp_path).command()

    assert command[command.index("--test-cmd") + 1] == "hand 'in ü'"
    assert {"--yes-always", "--no-auto-commits", "--no-gitignore"} <= set(command)
    assert HAND_INS_MAX == 4
