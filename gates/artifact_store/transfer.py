"""Carry commits between the user's shared repository and our own store, trusting nothing that the former says.

What an agent adds comes in by `copying`.

Agents write to the shared repository. Its configuration, hooks, replace refs, grafts, commit graphs and alternates must
not decide what we read; its objects are believed only after our side has computed their ids again.
Source: docs/decisions/0002-own-store-for-artifacts.md
"""

import re
import shlex
import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..git import BARE_ENVIRONMENT, PROGRAM, Git, GitFailed
from ..preparation.locks import locked
from .objects import BadArtifact

TRANSFER_TIMEOUT_S = 300.0
LOCK_TIMEOUT_S = 600.0
# No git of ours lives that long, so what it locked or was writing then belongs to nobody any more.
LEFTOVER_AGE_S = 3_600.0
LEFTOVERS = ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/??/tmp_*", "publish-*", "write-*", "fetch-*")
# What index-pack says of an object that is there already and differs from the one that arrives, or cannot be read.
PLANTED = re.compile("COLLISION|existing object|corrupt|inflate|header", re.IGNORECASE)
OUR_LOCK = "gatewright.lock"
REF_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")

# A lying commit graph, bitmap or index over packs belongs to the shared repository too; packs themselves are verified.
PLAIN_READING = {
    "core.commitGraph": "false",
    "core.multiPackIndex": "false",
    "pack.useBitmaps": "false",
}
# git drops the caller's settings before it starts the reading side of a fetch, so they are given again in its command.
UPLOAD_PACK_CONFIG = {
    **PLAIN_READING,
    "core.hooksPath": "/dev/null",
    # The person who started us chose this repository; git would refuse one that another user owns.
    "safe.directory": "*",
    "uploadpack.allowAnySHA1InWant": "true",
}


def checked_ref_name(name: str) -> str:
    """Return what may follow `refs/gatewright/`; raise `ValueError` for a name that git could take otherwise."""
    if not REF_NAME.fullmatch(name) or ".." in name or any(part.endswith((".lock", ".")) for part in name.split("/")):
        raise ValueError(f"{name!r} is not a plain ref name")
    return name


def remove_leftovers(store: Path) -> None:
    """Remove what a git that was killed left in our store: above all locks, which would be in the way for ever."""
    # The file system says what time it is, since it is its times that are compared.
    (store / OUR_LOCK).touch()
    now_s = (store / OUR_LOCK).stat().st_mtime
    for pattern in LEFTOVERS:
        for path in store.glob(pattern):
            with suppress(FileNotFoundError):
                if path.name != OUR_LOCK and path.lstat().st_mtime < now_s - LEFTOVER_AGE_S:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def exclusive(store: Path) -> Generator[None]:
    """Nobody else writes objects into the store until the block ends, in whichever process."""
    with locked(store / OUR_LOCK, timeout_s=LOCK_TIMEOUT_S):
        yield


def shared_git(shared: Path) -> Git:
    """The shared repository, read with our settings."""
    return Git(shared, config=PLAIN_READING)


def check_complete(shared: Path) -> None:
    """Raise `BadArtifact` for a repository that does not have its whole history."""
    shallow = shared / "shallow"
    if shallow.is_file() and shallow.stat().st_size > 0:
        raise BadArtifact(
            "The repository is a shallow clone, in which descent cannot be judged. Run `git fetch --unshallow` in it."
        )


def holds(shared: Path, commit: str) -> bool:
    """Whether the shared repository has a commit object of this id."""
    status, kind = shared_git(shared).run_status("cat-file", "-t", commit, expected=(0, 128))
    return status == 0 and kind.strip() == b"commit"


def check_is_commit(git: Git, commit: str) -> None:
    """Raise `BadArtifact` unless `git` holds a commit object of exactly this id."""
    status, output = git.run_status("cat-file", "-t", commit, expected=(0, 128))
    check_kind(commit, output.decode("ascii", "replace").strip() if status == 0 else None)


def check_kind(commit: str, kind: str | None) -> None:
    """Raise `BadArtifact` unless `kind`, which is None for an object that there is not, is that of a commit."""
    if kind is None:
        raise BadArtifact(f"There is no commit {commit} in the repository.")
    if kind != "commit":
        raise BadArtifact(f"{commit} is a {kind}, not a commit. Give the id of the commit itself.")


def check_whole(shared: Path, cause: Exception) -> None:
    """Raise `BadArtifact` for a repository that leaves out files of its history on purpose, which explains `cause`."""
    promised = ("config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$")
    if shared_git(shared).run_status(*promised, expected=(0, 1))[0] == 0:
        raise BadArtifact(
            "The repository is a partial clone and lacks files of its history."
            " Run `git fetch --refetch --no-filter` in it."
        ) from cause


def tags_reaching(shared: Path, commit: str) -> tuple[str, ...]:
    """Return the full names of the tags whose commit is `commit` or an ancestor of it."""
    return tuple(
        shared_git(shared).text("for-each-ref", f"--merged={commit}", "--format=%(refname)", "refs/tags").split()
    )


def fetch(
    store: Git, shared: Path, refspecs: Sequence[str], *, strict: bool, tip: str | None, depth: int | None = None
) -> None:
    """Bring what the refspecs name into `store`; refs are set only when every object below them has arrived.

    `strict`: every new object must pass git's own check. `tip`: the commit that both sides are known to have.
    `depth`: so many commits of the history, all of it when None.
    Raises `BadArtifact` with git's reason when the other side does not serve it whole and sound.
    """
    checked = Git(store.git_dir, config={**store.config, "fetch.fsckObjects": str(strict).lower()})
    try:
        checked.run(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--no-show-forced-updates",
            *([f"--negotiation-tip={tip}"] if tip else []),
            *([f"--depth={depth}"] if depth else []),
            f"--upload-pack={_upload_pack()}",
            "--stdin",
            str(shared),
            stdin="".join(f"{refspec}\n" for refspec in refspecs).encode(),
            timeout_s=TRANSFER_TIMEOUT_S,
        )
    except GitFailed as exc:
        if exc.is_outage:
            raise
        check_whole(shared, exc)
        raise BadArtifact(f"The commit cannot be taken over: {reason_of(exc)}") from exc


def publish(store: Git, shared: Path, commit: str, ref: str) -> None:
    """Copy `commit` with its history into the shared repository and put `ref` there on it, running no hook.

    The objects travel as a pack: git compares them with what already lies there under the same id, so that an object
    that somebody planted is never taken for ours. Raises `BadArtifact` then, with `ref` untouched.
    """
    git = shared_git(shared)
    with tempfile.TemporaryDirectory(prefix="publish-", dir=store.git_dir) as folder:
        wanted = "".join(f"{line}\n" for line in (commit, *(f"^{tip}" for tip in _common_tips(store, git)))).encode()
        name = store.run(
            "pack-objects",
            "-q",
            "--revs",
            "--non-empty",
            f"{folder}/objects",
            stdin=wanted,
            timeout_s=TRANSFER_TIMEOUT_S,
        )
        if name:
            _take_in(git, Path(folder) / f"objects-{name.decode().strip()}.pack")
    git.run("rev-list", "--objects", "--quiet", commit, "--not", "--all", timeout_s=TRANSFER_TIMEOUT_S)
    git.run("update-ref", "--no-deref", "--end-of-options", ref, commit)


def _take_in(git: Git, pack: Path) -> None:
    try:
        with pack.open("rb") as content:
            git.run("index-pack", "--stdin", stdin=content, timeout_s=TRANSFER_TIMEOUT_S)
    except GitFailed as exc:
        if PLANTED.search(exc.stderr):
            raise BadArtifact(
                f"The repository holds other bytes under the id of an object to publish ({reason_of(exc)})."
                " Run `git fsck` in it: it is damaged, or somebody wrote into it."
            ) from exc
        raise


def _common_tips(store: Git, git: Git) -> list[str]:
    tips = git.run("for-each-ref", "--format=%(objectname)")
    known = store.run("cat-file", "--batch-check=%(objectname)", "--buffer", stdin=tips).decode()
    return [line for line in known.splitlines() if not line.endswith(" missing")]


def _upload_pack() -> str:
    names = ("GIT_NO_REPLACE_OBJECTS", "GIT_GRAFT_FILE", "GIT_NO_LAZY_FETCH")
    variables = [f"{name}={shlex.quote(BARE_ENVIRONMENT[name])}" for name in names]
    settings = [part for key, value in UPLOAD_PACK_CONFIG.items() for part in ("-c", shlex.quote(f"{key}={value}"))]
    return " ".join([*variables, shlex.quote(PROGRAM), *settings, "upload-pack", "--strict"])


def reason_of(failure: GitFailed) -> str:
    """The line of git's errors that says most: the first fatal or error line, else the last."""
    lines = [line.strip() for line in failure.stderr.splitlines() if line.strip() and not line.startswith("hint:")]
    telling = [line for line in lines if line.startswith(("error:", "fatal:"))]
    return (telling or lines or ["git gave no reason"])[0].removeprefix("error: ").removeprefix("fatal: ")
