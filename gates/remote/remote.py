"""Ask the team's remote for refs, fetch from it and push to it: each in bounded time, each with a definite answer.

A push is compare-and-swap: the remote moves a ref only from where it is expected to be. Whether an exchange that was
cut off had an effect is told by the ref alone. Source: docs/decisions/0019-artifacts-travel-through-the-remote.md
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..artifact_store.objects import TooLarge
from ..git import Git, GitFailed
from .address import Address
from .exchange import NAME, SETTINGS, declined, environment_of, problem_of
from .pauses import Pauses
from .problems import RemoteFault, RemoteProblem

REFS_BYTES_MAX = 16 * 2**20
KEPT_KNOWN_MAX = 50_000
# For what was checked before it came to the remote: the time that it takes is the bound.
BYTES_MAX = 2**40

_REF_LINE = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\t(refs/[^\s]+)")
_HEAD_LINE = re.compile(r"ref: refs/heads/([^\s]+)\tHEAD")
_PUSH_LINE = re.compile(r"([ +\-*=!])\t[^\t]*\t(.*)")
# What git says when it, or a helper of its own, came to the limit of a file's size.
_CUT = re.compile(r"File too large|signal 25")
_LOOKING = "looking"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one exchange may take, in seconds."""

    look_s: float = 20.0
    fetch_s: float = 300.0
    push_s: float = 120.0


class Remote:
    """The remote at `address`. For any number of threads; raises `RemoteProblem`, and `GitFailed` for this machine.

    `home` is a bare repository of ours to ask from. What is raised has no cause: git's own words may name what opens
    the remote.
    """

    def __init__(
        self,
        address: Address,
        home: Path,
        *,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self._home = home
        self._patience = patience or Patience()
        self._environment = environment_of(address)
        self._pauses = Pauses(clock)
        # What was pushed to stay: it is not asked for again. Two threads at once push it twice, which is harmless.
        self._kept: dict[str, str] = {}

    def tips(self, *patterns: str, home: Path | None = None, within_s: float | None = None) -> Mapping[str, str]:
        """The refs whose full names match the patterns (globs), with their commits; one look at the remote.

        `within_s`: no more patience than this; that it is over then says nothing to others.
        """
        found = map(_REF_LINE.fullmatch, self._look(home or self._home, within_s, "--refs", NAME, *patterns))
        return {match[2]: match[1] for match in found if match is not None}

    def default_branch(self) -> str | None:
        """The branch that a clone checks out; None when the remote names none."""
        found = map(_HEAD_LINE.fullmatch, self._look(self._home, None, "--symref", NAME, "HEAD"))
        return next((match[1] for match in found if match is not None), None)

    def tip(self, ref: str, *, within_s: float | None = None) -> str | None:
        """The commit that a ref of this full name stands at now; None when there is no such ref."""
        return self.tips(ref, within_s=within_s).get(ref)

    def fetch(
        self,
        into: Path,
        refspecs: Sequence[str],
        *,
        pack_bytes_max: int = BYTES_MAX,
        has_tags: bool = False,
        within_s: float | None = None,
    ) -> None:
        """Bring what the refspecs name, by full id or ref, into the repository at `into`; only their ids are checked.

        `has_tags`: those that reach it come along. A pack of more than `pack_bytes_max` is left in the middle
        (`TooLarge`), and nothing of it stays. Raises MISSING when the remote has not got one of them, and then none was
        brought.
        """
        self._pauses.check(_LOOKING)
        git = self._git(into, pack_bytes_max)
        try:
            git.run(
                *("fetch", "--quiet", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"),
                *("--no-show-forced-updates", *([] if has_tags else ["--no-tags"]), "--stdin", NAME),
                stdin="".join(f"{refspec}\n" for refspec in refspecs).encode(),
                timeout_s=within_s or self._patience.fetch_s,
            )
        except GitFailed as exc:
            if _CUT.search(exc.stderr):
                raise TooLarge(f"What {self.address.shown} sends has more than {pack_bytes_max} bytes.") from None
            # Hosts have words of their own for what they have not got: whoever asks for that holds up nobody else.
            raise self._unanswered(exc, is_final=False) from None
        self._pauses.went_well(_LOOKING)

    def push(self, source: Path, commit: str | None, ref: str, *, expected: str | None) -> None:
        """Move `ref` from `expected` (None: it does not exist) to a commit of `source`; None deletes it.

        Raises DECLINED when the remote says no, also because the ref is elsewhere, and UNREACHABLE when it says
        nothing: then it may have moved it, or may move it yet.
        """
        self._pauses.check((commit, ref))
        lease = f"--force-with-lease={ref}:{expected or ''}"
        try:
            self._push(source, commit, ref, lease)
        except RemoteProblem as problem:
            self._pauses.failed((commit, ref), problem)
            raise
        self._pauses.went_well((commit, ref))

    def may_push(self, source: Path, commit: str, ref: str) -> None:
        """Raise what a push would, as far as it shows before anything is sent: nothing is moved.

        The remote is asked whether this account may push at all; its hooks and branch rules are not.
        """
        self._push(source, commit, ref, "--dry-run", "--force")

    def keep(self, source: Path, commit: str, ref: str) -> None:
        """Have `ref`, one of the server's own, keep a commit of `source`, wherever it was before."""
        if self._kept.get(ref) == commit:
            return
        self._pauses.check((commit, ref))
        try:
            self._push(source, commit, ref, "--force")
        except RemoteProblem as problem:
            self._pauses.failed((commit, ref), problem)
            raise
        self._pauses.went_well((commit, ref))
        if len(self._kept) >= KEPT_KNOWN_MAX:
            self._kept.clear()
        self._kept[ref] = commit

    def _look(self, home: Path, within_s: float | None, *arguments: str) -> Sequence[str]:
        self._pauses.check(_LOOKING)
        timeout_s = within_s or self._patience.look_s
        try:
            listing, is_cut = self._git(home).run_head(
                "ls-remote", *arguments, bytes_max=REFS_BYTES_MAX, timeout_s=timeout_s
            )
        except GitFailed as exc:
            raise self._unanswered(exc, is_final=within_s is None) from None
        self._pauses.went_well(_LOOKING)
        if is_cut:
            raise RemoteProblem(RemoteFault.UNREACHABLE, f"The git remote {self.address.shown} lists refs without end.")
        return listing.decode("utf-8", "replace").splitlines()

    def _push(self, source: Path, commit: str | None, ref: str, *how: str) -> None:
        arguments = ("push", "--porcelain", "--no-verify", "--no-follow-tags", *how, NAME, f"{commit or ''}:{ref}")
        git = self._git(source)
        try:
            _, output = git.run_status(*arguments, timeout_s=self._patience.push_s)
        except GitFailed as exc:
            answer = _answer(exc.output.decode("utf-8", "replace"))
            if answer is None or answer[0] != "!":
                raise self._unanswered(exc, is_final=False) from None
            raise declined(self.address, ref, answer[1], exc.stderr) from None
        if _answer(output.decode("utf-8", "replace")) is None:
            raise RemoteProblem(
                RemoteFault.UNREACHABLE, f"The git remote {self.address.shown} said nothing about {ref}."
            )

    def _unanswered(self, failure: GitFailed, *, is_final: bool = True) -> Exception:
        """What to raise; when it is final, a remote that cannot be reached is not asked again at once."""
        ours = "\n".join(line for line in failure.stderr.splitlines() if not line.startswith("remote:"))
        mine = GitFailed(failure.command, failure.returncode, self.address.redact(ours))
        if mine.is_outage and "remote" not in ours:
            return mine
        problem = problem_of(self.address, failure)
        if is_final and problem.fault is RemoteFault.UNREACHABLE:
            self._pauses.failed(_LOOKING, problem)
        return problem

    def _git(self, git_dir: Path, file_bytes_max: int | None = None) -> Git:
        return Git(git_dir, config=SETTINGS, base_environment=self._environment, file_bytes_max=file_bytes_max)


def _answer(output: str) -> tuple[str, str] | None:
    """What the remote said about the one ref: a flag, and a summary; None when it said nothing."""
    found = next((match for line in output.splitlines() if (match := _PUSH_LINE.fullmatch(line))), None)
    return None if found is None else (found[1], found[2])
