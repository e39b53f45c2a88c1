"""How git talks to a remote: with the operator's own credentials and proxies, asking nobody, running no hook.

The environment is that of the person who started the server, as in their own checkouts: keys, agents and credential
helpers lie there. Where the remote lies goes in by the environment too: an argument could be taken for an option, and
every user of the machine could read it.
"""

import os
import re
from collections.abc import Mapping

from ..git import BARE_ENVIRONMENT, GitFailed
from ..text import clean_text, shorten
from ..worktrees.worktree import user_environment
from .address import SCHEMES, Address
from .problems import RemoteFault, RemoteProblem

NAME = "gatewright"
LOW_SPEED_BYTES_S = "1000"
LOW_SPEED_S = "30"
SAID_CHARS_MAX = 300
HOOK_LINES_MAX = 3

SETTINGS: Mapping[str, str | None] = {
    "core.attributesFile": os.devnull,
    "protocol.allow": "never",
    **{f"protocol.{scheme}.allow": "always" for scheme in SCHEMES},
    "http.lowSpeedLimit": LOW_SPEED_BYTES_S,
    "http.lowSpeedTime": LOW_SPEED_S,
    "http.followRedirects": "initial",
    "core.askPass": "",
    "credential.interactive": "false",
    "push.followTags": "false",
    "push.gpgSign": "false",
    "push.recurseSubmodules": "no",
    "fetch.recurseSubmodules": "no",
    "submodule.recurse": "false",
    "transfer.unpackLimit": "1",
    "transfer.fsckObjects": "false",
    "fetch.fsckObjects": "false",
}
# git's words for a ref or an object that the other side has not got, or does not give to anybody who knows its id.
_MISSING = re.compile(
    "couldn't find remote ref|not our ref|no such remote ref|unadvertised object|did not send all necessary objects"
    "|want [0-9a-f]+ not valid"
)


def environment_of(address: Address) -> Mapping[str, str]:
    """What every command to this remote starts from."""
    settings = [(f"remote.{NAME}.url", address.url)]
    environment = {
        **user_environment(),
        "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_CONFIG_COUNT": str(len(settings)),
        # A key or a host that is not known is an error, and no question to whoever sits at a terminal.
        "SSH_ASKPASS": "/bin/false",
        "SSH_ASKPASS_REQUIRE": "force",
    }
    for number, (key, value) in enumerate(settings):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {**environment, "PATH": BARE_ENVIRONMENT["PATH"]}


def problem_of(address: Address, failure: GitFailed) -> RemoteProblem:
    """What a failed exchange says about the remote, in one sentence."""
    if _MISSING.search(failure.stderr):
        return RemoteProblem(RemoteFault.MISSING, f"{address.shown} has not got it: {_line(address, failure.stderr)}.")
    said = _line(address, failure.stderr)
    return RemoteProblem(RemoteFault.UNREACHABLE, f"The git remote {address.shown} cannot be reached: {said}.")


def declined(address: Address, ref: str, reason: str, stderr: str) -> RemoteProblem:
    """The remote answered that it will not set `ref`; what its hooks say is theirs to answer for."""
    hooks = [line.removeprefix("remote:").strip() for line in stderr.splitlines() if line.startswith("remote:")]
    said = "; ".join(filter(None, hooks[:HOOK_LINES_MAX]))
    told = _told(address, f"{reason}: {said}" if said else reason)
    return RemoteProblem(RemoteFault.DECLINED, f"The git remote {address.shown} did not take {ref} ({told}).")


def _line(address: Address, stderr: str) -> str:
    """The line of git's errors that says most: the first fatal or error line, else the last."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))]
    found = (telling or lines[-1:] or ["git gave no reason"])[0]
    return _told(address, found.removeprefix("fatal: ").removeprefix("error: "))


def _told(address: Address, text: str) -> str:
    # One line: it becomes part of a sentence for a model.
    return shorten(" ".join(address.redact(clean_text(text)).split()), SAID_CHARS_MAX).rstrip(".")
