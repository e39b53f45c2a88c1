"""The commands that are tools, and how their arguments become those of the tool."""

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .command import CannotGoOn, UsageError
from .opening import folder_of, open_git, user_name

VERDICT_WAIT_S = 1_800.0
NEWS_WAIT_S = 290.0
LEASE_VARIABLE = "GATEWRIGHT_LEASE"
AGENT_VARIABLE = "GATEWRIGHT_AGENT"
EXITS = ("done_for_now", "withdraw", "cannot", "spec_conflict", "needs_decision")

Arguments = dict[str, object]


@dataclass(frozen=True, slots=True)
class Twin:
    """A command that is a tool. `arguments` raises `UsageError` where they do not fit, `CannotGoOn` without a lease."""

    tool: str
    configure: Callable[[ArgumentParser], None]
    arguments: Callable[[Namespace], Arguments]


def find_lease(options: Namespace) -> str:
    """The lease as given, else of the environment, else of the workspace that the folder lies in."""
    given = getattr(options, "lease", None) or os.environ.get(LEASE_VARIABLE)
    if given:
        return str(given)
    from ...gates.workspaces import Workspaces

    found = Workspaces(open_git(options)).find_lease(folder_of(options))
    if found is None:
        message = "There is no lease: this folder is no workspace."
        action = f"Run it in the workspace that the brief names, or give --lease or {LEASE_VARIABLE}."
        raise CannotGoOn(message, action, code="unknown_lease")
    return found


def agent_of(options: Namespace) -> str:
    """The name by which others see the holder."""
    return str(options.agent or os.environ.get(AGENT_VARIABLE) or user_name())


def read_files(pairs: list[str], deleted: list[str]) -> Arguments | None:
    """`PATH=LOCALFILE` as path and text; None when there are none."""
    files: Arguments = {}
    files.update(dict.fromkeys(deleted))
    for pair in pairs:
        path, equals, local = pair.partition("=")
        if not equals or not path or not local:
            raise UsageError(f"--file takes PATH=LOCALFILE, not {pair!r}")
        try:
            files[path] = Path(local).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise UsageError(f"--file: {local} cannot be read as UTF-8 text ({exc})") from exc
    return files or None


def parse_answer(text: str) -> Arguments:
    """`FINDING=DISPOSITION:NOTE` as the tool wants it."""
    finding, equals, rest = text.partition("=")
    disposition, _, note = rest.partition(":")
    if not equals or not finding or not disposition:
        raise UsageError(f"--answer takes FINDING=DISPOSITION:NOTE, not {text!r}")
    return {"finding": finding, "disposition": disposition, "note": note}


def parse_finding(text: str) -> Arguments:
    """`SEVERITY:PATH:LINE:MESSAGE`, path and line possibly empty, as the tool wants it."""
    parts = text.split(":", 3)
    if len(parts) != 4 or not (parts[2].isdigit() or not parts[2]):
        raise UsageError(f"--finding takes SEVERITY:PATH:LINE:MESSAGE, not {text!r}")
    severity, path, line, message = parts
    return {"severity": severity, "path": path or None, "line": int(line) if line else None, "message": message}


def _configure_start(parser: ArgumentParser) -> None:
    parser.add_argument("title", metavar="TITLE", help="one line")
    parser.add_argument("--intent", metavar="TEXT", help="what should be true afterwards (default: the title)")
    _add_key(parser)


def _start(options: Namespace) -> Arguments:
    return {"title": options.title, "intent": options.intent or options.title, "key": options.key}


def _configure_claim(parser: ArgumentParser) -> None:
    parser.add_argument("change", metavar="CHANGE", nargs="?")
    parser.add_argument("stage", metavar="STAGE", nargs="?")
    parser.add_argument("--agent", metavar="NAME", help=f"shown to others (default: {AGENT_VARIABLE}, else your name)")
    parser.add_argument("--role", metavar="ROLE", help="only work for this role")
    parser.add_argument("--model", metavar="MODEL", help="shown to others")
    _add_wait(parser, 0.0)
    _add_key(parser)


def _claim(options: Namespace) -> Arguments:
    return {"agent": agent_of(options), **_named("change", "stage", "role", "model", "key")(options)}


def _configure_check(parser: ArgumentParser) -> None:
    parser.add_argument("gates", metavar="GATE", nargs="*", help="only these gates (default: all)")
    _add_lease(parser)
    _add_wait(parser, VERDICT_WAIT_S)


def _check(options: Namespace) -> Arguments:
    return {"lease": find_lease(options), "gates": options.gates or None}


def _configure_submit(parser: ArgumentParser) -> None:
    parser.add_argument("--summary", metavar="TEXT", required=True, help="what you did, for whoever works on it next")
    parser.add_argument("--commit", metavar="ID", help="a commit of your own (default: the workspace as it is)")
    parser.add_argument("--file", metavar="PATH=LOCALFILE", action="append", default=[], help="hand in files instead")
    parser.add_argument("--delete", metavar="PATH", action="append", default=[], help="with --file: delete this path")
    parser.add_argument(
        "--answer",
        metavar="FINDING=DISPOSITION:NOTE",
        action="append",
        default=[],
        help="what was done about a finding: fixed, disputed or not_applicable",
    )
    _add_lease(parser)
    _add_wait(parser, VERDICT_WAIT_S)
    _add_key(parser)


def _submit(options: Namespace) -> Arguments:
    return {
        "lease": find_lease(options),
        "summary": options.summary,
        "commit": options.commit,
        "files": read_files(options.file, options.delete),
        "answers": [parse_answer(text) for text in options.answer] or None,
        "key": options.key,
    }


def _configure_wait(parser: ArgumentParser) -> None:
    parser.add_argument("change", metavar="CHANGE", nargs="?", help="news of this change (default: of all)")
    parser.add_argument("--evaluation", metavar="ID", help="wait for this verdict")
    parser.add_argument("--after", metavar="POSITION", type=int, help="only what came after the last reply's position")
    _add_wait(parser, NEWS_WAIT_S)


def _configure_read(parser: ArgumentParser) -> None:
    parser.add_argument("change", metavar="CHANGE")
    parser.add_argument("stage", metavar="STAGE", nargs="?")
    parser.add_argument("path", metavar="PATH", nargs="?", help="a file; 'diff' for the diff (default: the list)")
    _add_place(parser)


def _configure_review(parser: ArgumentParser) -> None:
    parser.add_argument("--finding", metavar="SEVERITY:PATH:LINE:MESSAGE", action="append", default=[])
    parser.add_argument("--inspected", metavar="PATH", action="append", default=[], help="what you looked at")
    parser.add_argument("--note", metavar="TEXT")
    _add_lease(parser)
    _add_key(parser)


def _review(options: Namespace) -> Arguments:
    findings = [parse_finding(text) for text in options.finding]
    lease = find_lease(options)
    told = {"findings": findings, "inspected": options.inspected, "note": options.note, "key": options.key}
    return {"lease": lease, **told}


def _configure_release(parser: ArgumentParser) -> None:
    parser.add_argument("because", metavar="BECAUSE", choices=EXITS, help=", ".join(EXITS))
    parser.add_argument("reason", metavar="REASON", help="for the next holder, or the person who decides")
    parser.add_argument("--stage", metavar="STAGE", help="with spec_conflict: the earlier stage that owns the defect")
    _add_lease(parser)
    _add_key(parser)


def _release(options: Namespace) -> Arguments:
    return {"lease": find_lease(options), **_named("because", "reason", "stage", "key")(options)}


def _configure_status(parser: ArgumentParser) -> None:
    parser.add_argument("change", metavar="CHANGE", nargs="?")
    parser.add_argument("stage", metavar="STAGE", nargs="?")


def _configure_evidence(parser: ArgumentParser) -> None:
    parser.add_argument("change", metavar="CHANGE")
    parser.add_argument("stage", metavar="STAGE")
    parser.add_argument("--gate", metavar="GATE", help="one gate with its output")
    _add_place(parser)


def _named(*names: str) -> Callable[[Namespace], Arguments]:
    """Options that the tool has under the same names."""
    return lambda options: {name: getattr(options, name) for name in names}


def _add_lease(parser: ArgumentParser) -> None:
    parser.add_argument("--lease", metavar="LEASE", help=f"default: {LEASE_VARIABLE}, else that of this workspace")


def _add_wait(parser: ArgumentParser, default_s: float) -> None:
    text = f"how long to wait (default: {default_s:.0f}); the work goes on when the time is up"
    parser.add_argument("--wait", metavar="SECONDS", type=_seconds, default=default_s, help=text)


def _seconds(text: str) -> float:
    if not text.isdigit():
        raise ArgumentTypeError(f"{text!r} is no whole number of seconds")
    return float(text)


def _add_key(parser: ArgumentParser) -> None:
    parser.add_argument("--key", metavar="KEY", help="repeat a command with the same key and it has one effect")


def _add_place(parser: ArgumentParser) -> None:
    parser.add_argument("--attempt", metavar="N", type=int, help="default: the latest")
    parser.add_argument("--offset", metavar="N", type=int, help="where to go on, from the last reply's next_offset")


TWINS: Mapping[str, Twin] = {
    "start": Twin("start_change", _configure_start, _start),
    "claim": Twin("claim_stage", _configure_claim, _claim),
    "renew": Twin("renew_lease", _add_lease, lambda options: {"lease": find_lease(options)}),
    "check": Twin("check_gates", _configure_check, _check),
    "submit": Twin("submit_artifact", _configure_submit, _submit),
    "wait": Twin("wait_for_update", _configure_wait, _named("change", "evaluation", "after")),
    "read": Twin("read_artifact", _configure_read, _named("change", "stage", "path", "attempt", "offset")),
    "review": Twin("review_artifact", _configure_review, _review),
    "release": Twin("release_stage", _configure_release, _release),
    "status": Twin("get_status", _configure_status, _named("change", "stage")),
    "evidence": Twin("get_evidence", _configure_evidence, _named("change", "stage", "gate", "attempt", "offset")),
}
