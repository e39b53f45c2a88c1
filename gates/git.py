"""Run the git program with an environment built from nothing.

Every git command of gatewright goes through `Git.run`. Nothing of the caller's environment reaches it: a `GIT_DIR` that
leaks out of a hook, a user's global configuration or a replace ref would make it read another repository, or run a
program. Source: docs/decisions/0002-own-store-for-artifacts.md
"""

import contextlib
import errno
import math
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

GIT_TIMEOUT_S = 120.0
STDERR_CHARS_MAX = 2_000
STDERR_PIECE_BYTES = 65_536
# What a POSIX shell counts a limit on files in.
LIMIT_BLOCK_BYTES = 512
# What the machine is at fault for when a program or a file cannot be written; git says the same words (LC_ALL=C).
OUTAGES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
# Where git says it in words of its own, without those of the system.
OUTAGE_WORDS = ("Out of diskspace", "couldn't write", "unable to write", "died of signal 9")


def absolute_entries(search_path: str) -> str:
    """Drop relative and empty entries: with a work tree as working directory they would find programs in there."""
    return os.pathsep.join(folder for folder in search_path.split(os.pathsep) if Path(folder).is_absolute())


SEARCH_PATH = absolute_entries(os.environ.get("PATH", os.defpath))
PROGRAM = shutil.which("git", path=SEARCH_PATH) or "git"

BARE_ENVIRONMENT: Mapping[str, str] = {
    "PATH": SEARCH_PATH,
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    # A partial clone would otherwise fetch what is missing, through whatever its own configuration names.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_ALLOW_PROTOCOL": "file",
}

# Given on the command line, so that no configuration file of any repository outranks them.
NEUTRAL_CONFIG: Mapping[str, str] = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "core.fsync": "all",
    "core.quotePath": "false",
    # Off by default where the file system needs no protection; but what is accepted here travels on to where it does.
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "protocol.allow": "never",
    "protocol.file.allow": "always",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
    "advice.graftFileDeprecated": "false",
    "commit.gpgSign": "false",
}

# What gatewright signs its own commits with; people and agents keep their own names in the trailers.
SERVER_IDENTITY: Mapping[str, str] = {
    "GIT_AUTHOR_NAME": "gatewright",
    "GIT_AUTHOR_EMAIL": "gatewright@localhost",
    "GIT_COMMITTER_NAME": "gatewright",
    "GIT_COMMITTER_EMAIL": "gatewright@localhost",
}


class GitFailed(Exception):
    """git ended with a status that the caller did not expect; `str()` is one short sentence."""

    def __init__(self, command: Sequence[str], returncode: int, stderr: str, output: bytes = b"") -> None:
        self.command = tuple(command)
        self.returncode = returncode
        self.stderr = stderr.strip()[-STDERR_CHARS_MAX:]
        self.output = output
        super().__init__(f"git {' '.join(command[:2])} ended with {returncode}: {self.stderr}")

    @property
    def is_outage(self) -> bool:
        """Whether the machine is at fault, and neither the repository nor what is in it: also who killed git."""
        return self.returncode == -signal.SIGKILL or any(
            words in self.stderr for words in (*map(os.strerror, OUTAGES), *OUTAGE_WORDS)
        )


@dataclass(frozen=True)
class Git:
    """One repository, as an argument list: `git_dir` always, `work_tree` and `index_file` where a command needs them.

    `config` adds to NEUTRAL_CONFIG and outranks it; None leaves a setting to the repository and the environment.
    `base_environment` is what every command starts from; only a person's own checkouts have another one than the bare.
    """

    git_dir: Path
    work_tree: Path | None = None
    index_file: Path | None = None
    config: Mapping[str, str | None] = field(default_factory=dict)
    base_environment: Mapping[str, str] = field(default_factory=lambda: BARE_ENVIRONMENT)
    # Descriptors that git and its helpers hold too: a lock lasts until they end, also when their parent is killed.
    held_open: tuple[int, ...] = ()
    # Above this git is ended in the middle of a file: what a stranger sends is no larger than what it says.
    file_bytes_max: int | None = None

    def run(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = GIT_TIMEOUT_S,
        expected: Sequence[int] = (0,),
    ) -> bytes:
        """Return what git printed; raise `GitFailed` when its exit status is not in `expected` or time runs out."""
        _, output = self.run_status(
            *arguments, stdin=stdin, environment=environment, timeout_s=timeout_s, expected=expected
        )
        return output

    def run_status(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = GIT_TIMEOUT_S,
        expected: Sequence[int] = (0,),
    ) -> tuple[int, bytes]:
        """Like `run`, with the exit status first, for commands such as `merge-base --is-ancestor` that answer by it."""
        text, file = (stdin, None) if isinstance(stdin, bytes) else (None, stdin)
        with self.spawn(*arguments, stdin=file, environment=environment) as process:
            try:
                output, errors = process.communicate(text, timeout=timeout_s)
            except subprocess.TimeoutExpired as exc:
                raise GitFailed(arguments, -1, f"no answer within {timeout_s:.0f} s") from exc
            finally:
                kill_group(process)
        if process.returncode not in expected:
            raise GitFailed(arguments, process.returncode, errors.decode("utf-8", "replace"), output)
        return process.returncode, output

    def run_head(self, *arguments: str, bytes_max: int, timeout_s: float = GIT_TIMEOUT_S) -> tuple[bytes, bool]:
        """Return the first `bytes_max` bytes that git prints, and whether there was more.

        git is ended as soon as it has printed more than that, so neither side grows with a hostile repository.
        Raises `GitFailed` as `run` does.
        """
        with self.spawn(*arguments) as process, Deadline(process, timeout_s) as deadline:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.close()
            errors = Errors(process.stderr)
            output = process.stdout.read(bytes_max + 1)
            if len(output) > bytes_max:
                kill_group(process)
                return output[:bytes_max], True
            told = errors.text()
            status = process.wait()
        if deadline.passed:
            raise GitFailed(arguments, -1, f"no answer within {timeout_s:.0f} s")
        if status != 0:
            raise GitFailed(arguments, status, told)
        return output, False

    def spawn(
        self, *arguments: str, stdin: IO[bytes] | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start git in a process group of its own with all three streams piped; the caller ends it by `kill_group`."""
        try:
            return subprocess.Popen(
                [*self._program(), *arguments],
                stdin=stdin if stdin is not None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**self.base_environment, **self._environment(), **(environment or {})},
                cwd=self.work_tree or self.git_dir,
                process_group=0,
                pass_fds=self.held_open,
            )
        except FileNotFoundError as exc:
            raise GitFailed(arguments, 127, f"cannot start: {str(exc.filename)!r} does not exist") from exc

    def text(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """`run`, decoded and without the final newline: for ids and other single values."""
        return self.run(*arguments, environment=environment).decode("utf-8", "surrogateescape").rstrip("\n")

    def _program(self) -> list[str]:
        settings = {**NEUTRAL_CONFIG, **self.config}
        given = (f"{key}={value}" for key, value in settings.items() if value is not None)
        return [*self._limited(), PROGRAM, *(part for setting in given for part in ("-c", setting))]

    def _limited(self) -> list[str]:
        """The program that sets the limit and becomes git, which says that it came to it instead of just ending."""
        if self.file_bytes_max is None:
            return []
        blocks = math.ceil(self.file_bytes_max / LIMIT_BLOCK_BYTES)
        return ["/bin/sh", "-c", f'trap "" XFSZ && ulimit -f {blocks} && exec "$0" "$@"']

    def _environment(self) -> dict[str, str]:
        places = {"GIT_DIR": str(self.git_dir)}
        if self.work_tree is not None:
            places["GIT_WORK_TREE"] = str(self.work_tree)
        if self.index_file is not None:
            places["GIT_INDEX_FILE"] = str(self.index_file)
        return places


class Errors:
    """What a program says on its standard error, read while it runs: nobody can fill the pipe and wait for us."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._end = b""
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def text(self) -> str:
        """The end of it, once the program and its helpers have closed it."""
        self._thread.join()
        return self._end.decode("utf-8", "replace")

    def _read(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(ValueError):  # closed by whoever waits for no more of it
            while piece := stream.read(STDERR_PIECE_BYTES):
                self._end = (self._end + piece)[-STDERR_CHARS_MAX:]


class Deadline:
    """Kill a process group when its time is over; `passed` says afterwards that this happened."""

    def __init__(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        self.passed = False
        self._process = process
        self._timer = threading.Timer(timeout_s, self._strike)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        kill_group(self._process)

    def lift(self) -> bool:
        """Let the process live on without this deadline; False when it has passed."""
        self._timer.cancel()
        self._timer.join()
        return not self.passed

    def _strike(self) -> None:
        self.passed = True
        kill_group(self._process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that `Git.spawn` started, with its helpers; no effect once it has been waited for.

    git's helpers hold its pipes: one that outlives it (upload-pack waiting for a file that never answers) would hang
    whoever reads them.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
