"""`gatewright run-aider CHANGE STAGE`: claim a stage, have aider do it, and say how it stands with it.

aider gets the brief as its message and hands in by its test command, which is this command again with `--hand-in`. What
it ends with says nothing: the exit status tells what the server knows of the stage.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .aider import FILES_MAX, HAND_INS_MAX, TRACES, AiderRun, run_aider
from .clients import server_command
from .command import CannotGoOn, Exit
from .opening import open_git, set_up_common_dir
from .replies import Result, exit_of, show, text_of
from .terminal import Terminal
from .tool_arguments import LEASE_VARIABLE, VERDICT_WAIT_S, find_lease
from .waiting import call_and_wait

AIDER_TIMEOUT_S = 3_600.0
# Well within the shortest lease, so that thinking loses no stage.
BEAT_S = 60.0
# Refusals that another edit can do something about.
MENDABLE = frozenset({"bad_artifact", "unchanged_artifact", "too_large"})

PREFACE = """\
You work on one stage of a change. Edit the files that the brief allows, and nothing else. After each of your edits what
you have is handed in and judged; what failed comes back as your next message, at most {answers} times, so make your
first edit whole. Do not commit, and do not ask back: nobody is there to answer. The brief:

"""


@dataclass(frozen=True, slots=True)
class Held:
    """The stage that was claimed for aider; `brief` as the tool told it."""

    common_dir: str
    lease: str
    workspace: Path
    brief: Result


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("change", metavar="CHANGE")
    parser.add_argument("stage", metavar="STAGE")
    parser.add_argument("--agent", metavar="NAME", default="aider", help="shown to others (default: aider)")
    parser.add_argument("--aider", metavar="PROGRAM", default="aider", help="default: the one on PATH")
    text = f"how long aider may run (default: {AIDER_TIMEOUT_S:.0f}); then it is ended"
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=AIDER_TIMEOUT_S, help=text)
    parser.add_argument("--json", action="store_true", help="print the last verdict as structured content")
    text = 'aider\'s own arguments, as on a shell: --arguments="--model NAME src/a.py"'
    parser.add_argument("--arguments", metavar="TEXT", type=shlex.split, default=[], help=text)
    parser.add_argument("--hand-in", action="store_true", help=SUPPRESS)


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """0 the stage passed, 1 its gates failed, 3 refused, 4 errored, 5 nothing was handed in, or not decided yet."""
    common_dir = set_up_common_dir(options)
    if options.hand_in:
        return _hand_in(common_dir, options, terminal)
    program = shutil.which(options.aider)
    if program is None:
        raise CannotGoOn(f"There is no program {options.aider} here.", "Install aider, or name it with --aider.")
    wanted = {"change": options.change, "stage": options.stage, "agent": options.agent}
    brief = call_and_wait(common_dir, "claim_stage", wanted, wait_s=0.0, on_progress=terminal.progress)
    content = brief.get("structuredContent")
    match brief:
        case {"structuredContent": {"kind": "work", "lease": str(lease), "workspace": str(workspace)}}:
            assert isinstance(content, dict)
            held = Held(common_dir, lease, Path(workspace), content)
        case {"structuredContent": {"kind": "review", "lease": str(lease)}}:
            _release(common_dir, lease, "aider does the work of stages and reviews nothing")
            raise CannotGoOn(f"'{options.stage}' waits for a review, and aider does not review.", "Claim it yourself.")
        case _:
            show("claim", brief, terminal, as_json=options.json)
            return exit_of(brief)
    terminal.warn(text_of(brief).partition("\n")[0])
    is_ended = _work(held, program, options)
    return _decide(held, options, terminal, is_ended=is_ended)


def _work(held: Held, program: str, options: Namespace) -> bool:
    """Have aider work on the brief; False when its time was up."""
    repository = open_git(options)
    repository.exclude(TRACES)
    # Not in the workspace, where it would be handed in.
    with tempfile.TemporaryDirectory(prefix="gatewright-aider-") as scratch:
        message = Path(scratch) / "brief.md"
        message.write_text(_message_of(held.brief), encoding="utf-8")
        again = ("--repo", str(repository.top), "run-aider", "--hand-in", options.change, options.stage)
        hand_in = [*server_command(), *again]
        files = _files_of(held.brief, held.workspace)
        run = AiderRun(program, held.workspace, message, hand_in, files, tuple(options.arguments))
        return run_aider(
            run,
            {**os.environ, LEASE_VARIABLE: held.lease},
            timeout_s=options.timeout,
            beat_s=BEAT_S,
            on_beat=lambda: _renew(held.common_dir, held.lease),
        )


def _hand_in(common_dir: str, options: Namespace, terminal: Terminal) -> int:
    """What aider runs after each edit: 1, with what to mend, when another edit can mend it; else 0, and aider ends."""
    given = {"lease": find_lease(options), "summary": f"aider's work on {options.stage} of {options.change}"}
    result = call_and_wait(common_dir, "submit_artifact", given, wait_s=VERDICT_WAIT_S, on_progress=terminal.progress)
    terminal.say(text_of(result))
    match result:
        case {"structuredContent": {"outcome": "failed", "stage_state": "claimed"}}:
            return Exit.FAILED
        case {"isError": True, "structuredContent": {"code": code}} if code in MENDABLE:
            return Exit.FAILED
        case _:
            return Exit.OK


def _decide(held: Held, options: Namespace, terminal: Terminal, *, is_ended: bool) -> int:
    """Ask the server how it stands, tell it, and let go of a stage that aider will not finish."""
    evaluation = _last_evaluation(held, options)
    if evaluation is None:
        _release(held.common_dir, held.lease, "aider ended and had handed in nothing")
        said = "aider ended" if is_ended else "aider had to be ended: its time was up"
        terminal.warn(f"gatewright: {said}, and nothing was handed in; '{options.stage}' is free again.")
        terminal.warn("next: Read what aider said above, then run it again, or claim the stage yourself.")
        return Exit.UNDECIDED
    asked = {"evaluation": evaluation}
    progress = terminal.progress
    verdict = call_and_wait(held.common_dir, "wait_for_update", asked, wait_s=VERDICT_WAIT_S, on_progress=progress)
    show("wait", verdict, terminal, as_json=options.json)
    status = exit_of(verdict)
    if status is Exit.FAILED:
        _release(
            held.common_dir, held.lease, f"aider handed in up to {HAND_INS_MAX} times, and its last attempt failed"
        )
        terminal.warn(f"next: gatewright run-aider {options.change} {options.stage} begins with these findings.")
    return status


def _last_evaluation(held: Held, options: Namespace) -> str | None:
    """That of the newest attempt, if it was made under our lease."""
    evidence = _call(held.common_dir, "get_evidence", {"change": options.change, "stage": options.stage})
    match held.brief, evidence:
        case {"attempt": int(first)}, {"structuredContent": {"attempt": int(attempt), "evaluation": str(evaluation)}}:
            return evaluation if attempt >= first else None
        case _:
            return None


def _message_of(content: Result) -> str:
    """The brief as aider's model reads it: without the lease, which it has no use for."""
    from ...schemas.prose import text_of as prose_of
    from ...schemas.replies import Brief

    brief = Brief.model_validate(content)
    told = brief.model_copy(update={"lease": None, "workspace": None, "next": "edit the files."})
    return PREFACE.format(answers=HAND_INS_MAX - 1) + prose_of(told) + "\n"


def _files_of(content: Result, workspace: Path) -> Sequence[str]:
    """The files that aider starts with: what the stage may write, unless that is too much to show; it asks for more."""
    from ...gates.paths import matches

    writes = [str(glob) for glob in _list(content.get("writes"))]
    named = [glob for glob in writes if not set(glob) & set("*?[")]
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=workspace, capture_output=True, text=True, check=True, timeout=60
    )
    there = [path for path in listing.stdout.split("\0") if path and matches(path, writes or ["**"])]
    return [*dict.fromkeys([*named, *(there if len(there) <= FILES_MAX else [])])]


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _renew(common_dir: str, lease: str) -> None:
    _call(common_dir, "renew_lease", {"lease": lease})


def _release(common_dir: str, lease: str, reason: str) -> None:
    """Let go of what is still ours; a refusal means that it is not."""
    _call(common_dir, "release_stage", {"lease": lease, "because": "done_for_now", "reason": reason})


def _call(common_dir: str, tool: str, arguments: dict[str, object]) -> Result:
    return call_and_wait(common_dir, tool, arguments, wait_s=None, on_progress=lambda _: None)
