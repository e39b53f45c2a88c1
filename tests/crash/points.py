"""Every place where something is about to be written, or was: to the store, by git, to the repository's files.

Nothing in the product knows of this. The seams that all writes go through are wrapped: the transactions and statements
of the store, the start and the end of each git program, and what the interpreter itself reports of files.
"""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import IO, Any

from gatewright.gates.git import Git
from gatewright.server.store import store as store_module
from gatewright.server.store.part import Part, Prepared
from gatewright.server.store.tx import Tx

KILLED = 137
# git commands that only look; whatever is not named here counts as writing.
LOOKING = frozenset(
    "cat-file check-attr check-ignore config diff-files diff-index diff-tree for-each-ref ls-files ls-tree merge-base "
    "rev-list rev-parse status symbolic-ref version".split()
)
WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# What the interpreter reports before it happens; each names its path first.
FILE_EVENTS = frozenset({"open", "os.rename", "os.symlink", "os.link", "os.mkdir", "shutil.rmtree"})


@dataclass(frozen=True, slots=True)
class Point:
    """The `nth` time (from 1) that a process comes to where `label` says."""

    label: str
    nth: int

    def __str__(self) -> str:
        return f"{self.label} #{self.nth}"


class Points:
    """Counts the points of this process, and ends it at the doomed one as SIGKILL would: nothing is cleaned up."""

    def __init__(self, repository: Path, trace: IO[str], doomed: Point | None) -> None:
        self._repository = f"{repository}{os.sep}"
        self._trace = trace
        self._doomed = doomed
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._owner = os.getpid()

    def pass_by(self, label: str) -> None:
        """Take note of a point, or end here."""
        with self._lock:
            self._seen[label] += 1
            point = Point(label, self._seen[label])
            self._trace.write(json.dumps([point.label, point.nth]) + "\n")
            self._trace.flush()
            if point == self._doomed:
                os._exit(KILLED)

    def watch(self) -> None:
        """Wrap the seams, for the rest of this process's life."""
        self._watch_store()
        self._watch_git()
        sys.addaudithook(self._audit)

    def _watch_store(self) -> None:
        in_transaction = store_module._in_transaction

        def watched(transaction: Any, work: Callable[[Any], Any], saved: Any) -> Any:  # noqa: ANN401 - passed on
            writing: list[bool] = []

            def work_and_tell(tx: Tx) -> Any:  # noqa: ANN401 - passed on
                done = work(tx)
                if tx.is_writing:
                    writing.append(True)
                    self.pass_by("store: before commit")
                return done

            done = in_transaction(transaction, work_and_tell, saved)
            if writing:
                self.pass_by("store: after commit")
            return done

        put(store_module, "_in_transaction", watched)
        one, each = Part._write, Part._write_each

        @wraps(one)
        def write(part: Part, statement: Prepared, **values: object) -> int:
            label = _label_of(statement)
            self.pass_by(f"store: before {label}")
            done = one(part, statement, **values)
            self.pass_by(f"store: after {label}")
            return done

        def write_each(part: Part, statement: Prepared, rows: Any) -> None:  # noqa: ANN401 - passed on
            label = _label_of(statement)
            for row in rows:
                self.pass_by(f"store: before {label}")
                each(part, statement, [row])
                self.pass_by(f"store: after {label}")

        put(Part, "_write", write)
        put(Part, "_write_each", write_each)

    def _watch_git(self) -> None:
        spawn = Git.spawn

        @wraps(spawn)
        def watched(
            git: Git, *arguments: str, stdin: IO[bytes] | None = None, environment: Mapping[str, str] | None = None
        ) -> subprocess.Popen[bytes]:
            command = next((word for word in arguments if not word.startswith("-")), "")
            if command in LOOKING:
                return spawn(git, *arguments, stdin=stdin, environment=environment)
            self.pass_by(f"git: before {command}")
            process = spawn(git, *arguments, stdin=stdin, environment=environment)
            self.pass_by(f"git: during {command}")
            wait, is_told = process.wait, False

            def wait_and_tell(timeout: float | None = None) -> int:
                nonlocal is_told
                status = wait(timeout)
                if not is_told:
                    is_told = True
                    self.pass_by(f"git: after {command}")
                return status

            put(process, "wait", wait_and_tell)
            return process

        put(Git, "spawn", watched)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in FILE_EVENTS or os.getpid() != self._owner:
            return
        path = arguments[0]
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING_FLAGS):
            return
        if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._repository):
            self.pass_by(f"file: before {event}")


def put(owner: object, name: str, value: object) -> None:
    """Put something in the place of what `owner` has by that name."""
    setattr(owner, name, value)


def _label_of(statement: Prepared) -> str:
    found: Any = statement._statement
    return f"{type(found).__name__.lower()} {found.table.name}"
