"""`gatewright run-aider CHANGE STAGE`: claim a stage, have aider do it, and say how it stands with it.

aider gets the brief as its message and hands in by its test command, which is this command again with `--hand-in`. What
it ends with says nothing: the exit status tells what the server knows of the stage.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
import time
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
from .waiting import call_and_wait, running_evaluation

AIDER_TIMEOUT_S = 3_600.0
# Well within the shortest lease, so that thinking loses no stage.
BEAT_S = 60.0
# A call about a verdict waits for everybody's word; the gates' own is looked for this often.
PIECE_S = 5.0
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
    parser.add_argument("--objection", action="append", default=[], help=SUPPRESS)


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
        objections = [word for finding in _objections(held.brief) for word in ("--objection", finding)]
        hand_in = [*server_command(), *again, *objections]
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
    lease, summary = find_lease(options), f"aider's work on {options.stage} of {options.change}"

    def submit(answers: list[dict[str, str]] | None) -> Result:
        given = {"lease": lease, "summary": summary, **({} if answers is None else {"answers": answers})}
        progress = terminal.progress
        return call_and_wait(common_dir, "submit_artifact", given, wait_s=VERDICT_WAIT_S, on_progress=progress)

    result = submit(None)
    if _code_of(result) == "findings_unanswered" and options.objection:
        # Its model was told of them and has no way to answer one by one; the reviewers see what it changed.
        said = {"disposition": "fixed", "note": "aider was told of this and changed what it did about it"}
        result = submit([{"finding": finding, **said} for finding in options.objection])
    terminal.say(text_of(result))
    match result:
        case {"structuredContent": {"outcome": "failed", "stage_state": "claimed"}}:
            return Exit.FAILED
        case _:
            return Exit.FAILED if _code_of(result) in MENDABLE else Exit.OK


def _code_of(result: Result) -> str | None:
    """That of a refusal; None of anything else."""
    match result:
        case {"isError": True, "structuredContent": {"code": str(code)}}:
            return code
        case _:
            return None


def _decide(held: Held, options: Namespace, terminal: Terminal, *, is_ended: bool) -> int:
    """Ask the server how it stands, tell it, and let go of a stage that aider will not finish."""
    evaluation = _last_evaluation(held, options)
    if evaluation is None:
        _release(held.common_dir, held.lease, "aider ended and had handed in nothing")
        said = "aider ended" if is_ended else "aider had to be ended: its time was up"
        terminal.warn(f"gatewright: {said}, and nothing was handed in; '{options.stage}' is free again.")
        terminal.warn("next: Read what aider said above, then run it again, or claim the stage yourself.")
        return Exit.UNDECIDED
    verdict = _verdict_of_gates(held.common_dir, evaluation, terminal)
    show("wait", verdict, terminal, as_json=options.json)
    status = exit_of(verdict)
    if status is not Exit.OK:
        # Whoever is still to judge goes on; what they object to is for the next holder, who can be this command again.
        _release(held.common_dir, held.lease, f"aider hands in up to {HAND_INS_MAX} times, and has ended")
    if status is Exit.FAILED:
        terminal.warn(f"next: gatewright run-aider {options.change} {options.stage} begins with these findings.")
    return status


def _verdict_of_gates(common_dir: str, evaluation: str, terminal: Terminal) -> Result:
    """The verdict as soon as the gates have one; nobody waits here for people and reviewers."""
    asked, progress, piece_s = {"evaluation": evaluation}, terminal.progress, 0.0
    deadline_s = time.monotonic() + VERDICT_WAIT_S
    while True:
        verdict = call_and_wait(common_dir, "wait_for_update", asked, wait_s=piece_s, on_progress=progress)
        if running_evaluation(verdict) is None or time.monotonic() > deadline_s:
            return verdict
        piece_s = PIECE_S


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


def _objections(content: Result) -> list[str]:
    """The findings that reviewers wait to have answered."""
    from ...schemas.replies import Brief

    brief = Brief.model_validate(content)
    reviews = {gate.gate for gate in brief.gates if gate.kind == "review"}
    return [finding.id for finding in brief.findings if finding.gate in reviews]


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
