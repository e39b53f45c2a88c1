"""Run the git program with an environment built from nothing.

Every git command of gatewright goes through `Git.run`. Nothing of the caller's environment reaches it: a `GIT_DIR` that
leaks out of a hook, a user's global configuration or a replace ref would make it read another repository, or run a
program. Source: docs/decisions/0002-own-store-for-artifacts.md
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

GIT_TIMEOUT_S = 120.0
STDERR_CHARS_MAX = 2_000

BARE_ENVIRONMENT: Mapping[str, str] = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
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
    "protocol.allow": "never",
    "protocol.file.allow": "always",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
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
    """git ended with a status that the caller did not expect; `str()` is one line, without a traceback's worth of noise."""

    def __init__(self, command: Sequence[str], returncode: int, stderr: str) -> None:
        self.command = tuple(command)
        self.returncode = returncode
        self.stderr = stderr.strip()[-STDERR_CHARS_MAX:]
        super().__init__(f"git {' '.join(command[:2])} ended with {returncode}: {self.stderr}")


@dataclass(frozen=True)
class Git:
    """One repository, as an argument list: `git_dir` always, `work_tree` and `index_file` where a command needs them.

    `base_environment` is what every command starts from; only a person's own checkouts have another one than the bare.
    """

    git_dir: Path
    work_tree: Path | None = None
    index_file: Path | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    base_environment: Mapping[str, str] = field(default_factory=lambda: BARE_ENVIRONMENT)

    def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = GIT_TIMEOUT_S,
        expected: Sequence[int] = (0,),
    ) -> bytes:
        """Return what git printed; raise `GitFailed` when its exit status is not in `expected` or time runs out."""
        return self.run_status(*arguments, stdin=stdin, environment=environment, timeout_s=timeout_s, expected=expected)[1]

    def run_status(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = GIT_TIMEOUT_S,
        expected: Sequence[int] = (0,),
    ) -> tuple[int, bytes]:
        """Like `run`, with the exit status first, for commands such as `merge-base --is-ancestor` that answer by it."""
        try:
            done = subprocess.run(
                [*self._program(), *arguments],
                input=stdin if stdin is not None else b"",
                capture_output=True,
                env={**self.base_environment, **self._environment(), **(environment or {})},
                cwd=self.work_tree or self.git_dir,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise GitFailed(arguments, -1, f"no answer within {timeout_s:.0f} s") from exc
        if done.returncode not in expected:
            raise GitFailed(arguments, done.returncode, done.stderr.decode("utf-8", "replace"))
        return done.returncode, done.stdout

    def text(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """`run`, decoded and without the final newline: for ids and other single values."""
        return self.run(*arguments, environment=environment).decode("utf-8", "surrogateescape").rstrip("\n")

    def _program(self) -> list[str]:
        settings = {**NEUTRAL_CONFIG, **self.config}
        return ["git", *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]

    def _environment(self) -> dict[str, str]:
        places = {"GIT_DIR": str(self.git_dir)}
        if self.work_tree is not None:
            places["GIT_WORK_TREE"] = str(self.work_tree)
        if self.index_file is not None:
            places["GIT_INDEX_FILE"] = str(self.index_file)
        return places
