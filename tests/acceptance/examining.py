"""What `gatewright fsck` says of a repository, and how somebody alters what it examines."""

import contextlib
import io
import json
import sqlite3
from collections.abc import Generator
from typing import Any

from gatewright.server.cli.command import Exit
from gatewright.server.cli.main import main

from .house import Repository


def fsck(repository: Repository) -> tuple[int, dict[str, Any]]:  # Any: JSON
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(["--repo", str(repository.path), "fsck", "--json"])
    return status, json.loads(out.getvalue())


def found(repository: Repository) -> list[tuple[str, str]]:
    """(kind, what) of every problem; each says what it means and what to do."""
    status, report = fsck(repository)
    assert status == (Exit.FAILED if report["problems"] else Exit.OK)
    assert all(problem["means"] and problem["do"] for problem in report["problems"])
    return [(problem["kind"], problem["what"]) for problem in report["problems"]]


@contextlib.contextmanager
def altering(repository: Repository) -> Generator[sqlite3.Connection]:
    """The database as somebody has it who alters it past the server, triggers out of the way."""
    connection = sqlite3.connect(repository.state / "state.db")
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    yield connection
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.close()
