"""Expected problems as one sentence and what to do next: no command ends with a traceback because of them."""

import json
import os
from dataclasses import dataclass
from os import PathLike

from ...gates.git import GitFailed
from ...gates.worktrees.problems import RepositoryProblem, WorkspaceProblem
from ...schemas.refusals import Refused
from ..client import CallFailed
from ..rendezvous import NoServer
from ..store import StoreMissing, StoreUnavailable, StoreUnusable
from .command import CannotGoOn, Exit
from .terminal import Terminal


@dataclass(frozen=True, slots=True)
class Failure:
    """A problem as the command line tells it."""

    code: str
    message: str
    next: str
    status: Exit = Exit.REFUSED


def failure_of(problem: BaseException) -> Failure | None:
    """How an expected problem is told; None for a broken invariant, which must surface as one."""
    match problem:
        case Refused(refusal=refusal):
            return Failure(refusal.code.value, refusal.message, refusal.next)
        case CannotGoOn(code=code, message=message, next=action, status=status):
            return Failure(code, message, action, status)
        case RepositoryProblem(kind=kind, message=message, next=action):
            return Failure(kind.value, message, action)
        case WorkspaceProblem(message=message, next=action):
            return Failure("workspace", message, action)
        case StoreMissing():
            return Failure("not_set_up", "This repository is not set up for gatewright.", "gatewright init sets it up.")
        case StoreUnusable() | StoreUnavailable():
            return Failure("store_unavailable", str(problem), "gatewright doctor says more.")
        case NoServer():
            return Failure("no_server", str(problem), "gatewright doctor looks at the surroundings.")
        case CallFailed():
            return Failure("call_failed", str(problem), "Call again: the same call has one effect.", Exit.ERRORED)
        case GitFailed(stderr=stderr):
            said = f"git could not do its part: {_what_git_said(stderr)}."
            return Failure("git_failed", said, "Mend that, then try again.", Exit.ERRORED)
        case OSError() if not _is_somewhere():
            said = "The folder that this runs in is gone; a workspace is taken away once its stage has ended."
            return Failure("not_possible", said, "Go back to the repository: cd to it, then call again.")
        case OSError():
            said = problem.strerror or str(problem)
            where = f"{os.fsdecode(problem.filename)}: " if isinstance(problem.filename, str | bytes | PathLike) else ""
            return Failure("not_possible", f"{where}{said}.", "Look at its permissions and at the free space.")
        case _:
            return _failure_of_gates(problem)


def tell(failure: Failure, terminal: Terminal, *, command: str, as_json: bool) -> int:
    """Show the failure of this command, to a program with the keys of a refusal, and return the exit status."""
    from .spoken import as_commands

    message, action = as_commands(failure.message, command, in_full=False), as_commands(failure.next, command)
    if as_json:
        reply = {"code": failure.code, "message": message, "next": action}
        terminal.write_data(json.dumps(reply, indent=2, ensure_ascii=False) + "\n")
    else:
        terminal.warn(f"gatewright: {message}", "red")
        terminal.warn(f"next: {action}")
    return failure.status


def _is_somewhere() -> bool:
    """Whether the current folder exists."""
    try:
        os.getcwd()  # noqa: PTH109 - nothing else is wanted of it
    except OSError:
        return False
    return True


def _what_git_said(stderr: str) -> str:
    """The line that says what is wrong, which advice may follow and an explanation may precede."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("hint:")]
    wrong = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (wrong or [" ".join(lines[-2:]) or "it said nothing"])[-1].removesuffix(".")


def _failure_of_gates(problem: BaseException) -> Failure | None:
    # Reading policies needs pydantic and YAML, which a failure of another sort should not have to load.
    from ...gates.artifact_store.objects import BadArtifact
    from ...gates.policy import PolicyInvalid, PolicyMissing
    from ...gates.remote.problems import RemoteProblem

    match problem:
        case RemoteProblem(message=message):
            return Failure("remote", message, "Mend that, then run it again.")
        case PolicyInvalid():
            return Failure(
                "policy_invalid", str(problem), "Mend the file: gatewright check-pipeline shows what is wrong."
            )
        case PolicyMissing():
            return Failure("policy_missing", f"{problem}.", "gatewright init writes one; commit it on that branch.")
        case BadArtifact():
            return Failure("bad_artifact", str(problem), "gatewright doctor looks at the repository.")
        case _:
            return None
