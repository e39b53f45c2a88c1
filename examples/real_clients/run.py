"""Drive real MCP clients through a change, offline, and check what really happened.

    python examples/real_clients/run.py [--gatewright PROGRAM] [--only CLIENT] [--verbose]

Each client is installed from npm into `.cache/real_clients` once, plugged in by `gatewright install`, and run without a
person against a scripted model on loopback: a plan, a wrong submission, the mend, the landing. One line per
checkpoint; ends with `N passed, N failed`, and exits 1 unless everything passed.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import story
from clients import CLIENTS, Client, Setting, told_version
from conversation import Action, CallTool, Received, StoryError, WriteFile
from downloads import WHEELS, fetch_all, pinned_version
from processes import Scratch, processes_in, run, scratch_folder
from scripted_model import ScriptedModel, serving

FILES_WRITTEN = 4
"""How many the story writes: the plan, the wrong code and its tests, the mended code."""
CLIENT_TIMEOUT_S = 150.0
COMMAND_TIMEOUT_S = 60.0
TOOLS = frozenset(
    {
        *("start_change", "claim_stage", "renew_lease", "check_gates", "submit_artifact", "wait_for_update"),
        *("read_artifact", "review_artifact", "release_stage", "get_status", "get_evidence"),
    }
)
PROJECT = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n\n[tool.ruff.lint]\nselect = ["E", "F"]\n',
    "tally.py": '"""The total."""\n\n\ndef total(numbers: list[float]) -> float:\n    return sum(numbers)\n',
    "tests/test_tally.py": "from tally import total\n\n\ndef test_total() -> None:\n    assert total([1, 2]) == 3\n",
    ".gitignore": "__pycache__/\n",
}
# The set-up that `init` writes runs pip, which takes its settings from the home: the project stays without a network.
PIP_SETTINGS = f"[global]\nno-index = true\nfind-links = {WHEELS.as_uri()}\n"


@dataclass
class Report:
    """Prints one line per checkpoint and counts them."""

    verbose: bool
    client: str = ""
    passed: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    detail: str = ""
    """The detail shown last, which is not repeated: one cause often fails several checkpoints."""

    def check(self, checkpoint: str, *, holds: bool, detail: str = "") -> None:
        """Say whether the checkpoint holds; the detail is shown when it does not, or when all are asked for."""
        self.passed, self.failed = self.passed + holds, self.failed + (not holds)
        seconds = time.monotonic() - self.started
        print(f"{'ok  ' if holds else 'FAIL'} {seconds:6.1f} s  {self.client}: {checkpoint}", flush=True)
        if detail != self.detail and (self.verbose or not holds):
            self.detail = detail
            print("     " + detail.strip().replace("\n", "\n     "), flush=True)


class CommandFailed(Exception):
    """A command that everything else stands on ended badly; says which, and what it printed."""


def main() -> int:
    options = _options()
    report = Report(options.verbose)
    problem = fetch_all(client.package for client in CLIENTS)
    for client in CLIENTS:
        if options.only not in {None, client.name}:
            continue
        report.client = client.name
        if problem:
            report.check("not run", holds=False, detail=problem)
            continue
        left = drive(client, options.gatewright, report)
        report.check("left no folder and no process behind", holds=not left.exists() and not processes_in(left))
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed or not report.passed else 0


def drive(client: Client, gatewright: Path, report: Report) -> Path:
    """Take one client through the whole story in a scratch folder, which is gone afterwards; returns its path."""
    with scratch_folder(client.name) as scratch, serving(ScriptedModel(story.take_a_change_through)) as model:
        setting = Setting(scratch, gatewright, model.base_url)
        pinned, told = pinned_version(client.package), told_version(client, setting)
        report.check(f"installed, version {pinned}", holds=pinned in told, detail=told)
        if pinned not in told:
            return scratch.root
        try:
            _make_repository(client, setting)
            _take_through(client, setting, model, report)
            _check_repository(client, setting, _change_of(model.exchanges()), report)
        except CommandFailed as problem:
            report.check("the commands around it work", holds=False, detail=str(problem))
    return scratch.root


def _make_repository(client: Client, setting: Setting) -> None:
    """A tiny Python project with gatewright set up in it and plugged into the client."""
    scratch = setting.scratch
    pip_settings = scratch.home / ".config" / "pip" / "pip.conf"
    pip_settings.parent.mkdir(parents=True)
    pip_settings.write_text(PIP_SETTINGS)
    _git(scratch, "init", "--quiet", "--initial-branch=main")
    _git(scratch, "config", "user.name", "Real Clients")
    _git(scratch, "config", "user.email", "real.clients@example.invalid")
    for path, text in PROJECT.items():
        file = scratch.repository / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    _git(scratch, "add", "--all")
    _git(scratch, "commit", "--quiet", "--message=A tiny project")
    _gatewright(client, setting, "init")
    if _git(scratch, "status", "--porcelain"):
        _git(scratch, "add", "--all")
        _git(scratch, "commit", "--quiet", "--message=Use gatewright")
    _gatewright(client, setting, "install", client.name)


def _take_through(client: Client, setting: Setting, model: ScriptedModel, report: Report) -> None:
    connected, listing = client.health(setting)
    report.check("its own health listing shows gatewright connected", holds=connected, detail=listing)
    finished = client.run(setting, story.PROMPT, timeout_s=CLIENT_TIMEOUT_S)
    offered, instructions = model.conversation.offered, model.conversation.instructions
    differing = f"differing: {sorted(offered ^ TOOLS)}"
    report.check("the model is offered the eleven tools", holds=offered == TOOLS, detail=differing)
    told = "claim_stage" in instructions
    report.check("the server's instructions reach the model", holds=told, detail=instructions)
    _check_story(model.exchanges(), report)
    ended = finished.returncode == 0 and "has landed." in finished.output
    report.check("told the person that the change has landed, and ended", holds=ended, detail=finished.output)
    asked_nobody = not model.turned_away
    report.check("asked for nothing outside loopback", holds=asked_nobody, detail=str(model.turned_away))


def _check_story(exchanges: list[tuple[Action, Received]], report: Report) -> None:
    """Look at what the client sent back to the model, word for word."""
    last = "\n".join(f"{action}\n-> {received.text[:1500]}" for action, received in exchanges[-2:])
    briefs = [_data(received) for action, received in exchanges if _calls(action, "claim_stage")]
    stages = [brief.get("stage") for brief in briefs if brief.get("lease") and brief.get("workspace")]
    report.check("both briefs came with a lease and a workspace", holds=stages == ["plan", "code"], detail=last)
    written = [received.text for action, received in exchanges if isinstance(action, WriteFile)]
    wrote = len(written) == FILES_WRITTEN and all(re.search("written|successfully", answer) for answer in written)
    report.check("its own tools wrote into the workspaces", holds=wrote, detail="\n".join(written) or last)
    refusal = _judgement_of(story.WRONG_SUMMARY, exchanges)
    refused = refusal.text if refusal else ""
    failed = refusal is not None and _data(refusal).get("outcome") == "failed"
    report.check("the wrong submission failed", holds=failed, detail=refused or last)
    for whose, where in (("ruff's", rf"{story.CODE_PATH}:3\b"), ("the test's", rf"{story.TESTS_PATH}:\d+")):
        seen = re.search(where, refused) is not None
        report.check(f"it came back to the model with {whose} path and line", holds=seen, detail=refused or last)
    mended = _judgement_of(story.MENDED_SUMMARY, exchanges)
    passed = mended is not None and _data(mended).get("outcome") == "passed"
    report.check("the mended one passed", holds=passed, detail=mended.text if mended else last)


def _check_repository(client: Client, setting: Setting, change: str, report: Report) -> None:
    """Look at the end state with git and with gatewright's own command line."""
    status = _gatewright(client, setting, "status", change, "--json")
    states = [(one.get("change"), one.get("state")) for one in _json(status).get("changes", [])]
    report.check("gatewright's status says that it has landed", holds=states == [(change, "landed")], detail=status)
    landed = _git(setting.scratch, "ls-tree", "-r", "--name-only", "main").splitlines()
    for path, text in ((story.CODE_PATH, story.RIGHT_CODE), (story.TESTS_PATH, story.TESTS)):
        found = _git(setting.scratch, "show", f"main:{path}") if path in landed else f"main has only {landed}"
        report.check(f"{path} on main is what passed", holds=found == text, detail=found)
    plan = story.PLAN_PATH.format(change=change)
    report.check("the plan is on main", holds=plan in landed, detail=str(landed))
    left = _git(setting.scratch, "status", "--porcelain")
    report.check("the person's own checkout of main is up to date and clean", holds=left == "", detail=left)


def _gatewright(client: Client, setting: Setting, *arguments: str) -> str:
    argv = [str(setting.gatewright), *arguments]
    return _output_of(argv, setting.scratch, client.environment(setting))


def _git(scratch: Scratch, *arguments: str) -> str:
    # The scratch home has no git configuration; the machine's may sign commits or bring hooks.
    environment = scratch.environment("/usr/local/bin:/usr/bin:/bin", {"GIT_CONFIG_NOSYSTEM": "1"})
    return _output_of(["git", *arguments], scratch, environment)


def _output_of(argv: list[str], scratch: Scratch, environment: Mapping[str, str]) -> str:
    """What the command printed; CommandFailed unless it ended well and in time."""
    finished = run(argv, cwd=scratch.repository, environment=environment, timeout_s=COMMAND_TIMEOUT_S)
    if finished.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)} ended with {finished.returncode}:\n{finished.output}")
    return finished.output


def _judgement_of(summary: str, exchanges: list[tuple[Action, Received]]) -> Received | None:
    """The last answer to the submission with this summary, or to the waiting for its verdict; None without one."""
    found: Received | None = None
    for action, received in exchanges:
        handed_in = isinstance(action, CallTool) and action.arguments.get("summary") == summary
        still_running = found is not None and _data(found).get("state") == "running"
        if handed_in or (still_running and _calls(action, "wait_for_update")):
            found = received
    return found


def _change_of(exchanges: list[tuple[Action, Received]]) -> str:
    """The change that the model started; `no-change` when it did not get that far."""
    started = [_data(received) for action, received in exchanges if _calls(action, "start_change")]
    return str(started[0].get("change", "no-change")) if started else "no-change"


def _calls(action: Action, tool: str) -> bool:
    return isinstance(action, CallTool) and action.tool == tool


def _data(received: Received) -> dict[str, object]:
    try:
        return received.data()
    except StoryError:
        return {}


def _json(text: str) -> dict[str, list[dict[str, object]]]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Drive real MCP clients through a change, offline.")
    beside_python = Path(sys.executable).with_name("gatewright")
    parser.add_argument("--gatewright", type=Path, default=beside_python, help="the program (default: beside Python)")
    parser.add_argument("--only", choices=[client.name for client in CLIENTS], help="drive one client only")
    parser.add_argument("--verbose", action="store_true", help="show the details of passed checkpoints too")
    options = parser.parse_args()
    options.gatewright = options.gatewright.absolute()
    if not options.gatewright.is_file():
        parser.error(f"there is no program {options.gatewright}")
    return options


if __name__ == "__main__":
    sys.exit(main())
