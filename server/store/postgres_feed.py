"""Who committed, and what time is it? One thread with one connection tells the other servers, and hears of them.

It notifies after the commit, outside of the transaction: PostgreSQL lets those who commit notifications through one by
one. What a server that was killed in between could not tell is found by a look every `POLL_S`.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

CHANNEL = "gatewright"
POLL_S = 2.0
# At most one notification in this time: it says only that there is something to look for.
GATHER_S = 0.01
CONNECT_AGAIN_S = 1.0
DRIFT_S = 0.05
BEGIN_WITHIN_S = 5.0
END_WITHIN_S = 2.0

Connection = psycopg.Connection[Any]  # rows whose type the library cannot know

log = logging.getLogger(__name__)


class Feed:
    """Begins with the first commit or the first question; `tell` and the questions cost some microseconds."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._heard: list[threading.Event] = []
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._listens = threading.Event()
        self._has_to_tell = False
        self._closed = threading.Event()
        self._told_at = 0.0
        # The server's time, and when that was by this machine's monotonic clock.
        self._time: tuple[datetime, float] | None = None
        self._bell, self._pull = -1, -1

    def open(self) -> Callable[[], bool]:
        """A question whether anybody committed since it was last asked. What came before it was opened is no news."""
        heard = threading.Event()
        self._begin()
        self._listens.wait(BEGIN_WITHIN_S)
        self._heard.append(heard)

        def has_changed() -> bool:
            found = heard.is_set()
            heard.clear()
            return found

        return has_changed

    def now(self) -> datetime | None:
        """The server's time, as it was last asked for, and what has passed since; None when it never was."""
        if self._time is None:
            self._begin()
            self._listens.wait(BEGIN_WITHIN_S)
        if self._time is None:
            return None
        at, measured = self._time
        return at + timedelta(seconds=time.monotonic() - measured)

    def learn_time(self, connection: Connection) -> None:
        """Ask for the server's time; raises `psycopg.Error`."""
        self._look(connection)

    def tell(self) -> None:
        """Something was committed here: tell our own questions now, and the others soon."""
        self._hear()
        self._has_to_tell = True
        self._begin()
        self._ring()

    def close(self) -> None:
        """Tell what is still to be told, within `END_WITHIN_S`, and end; questions fall silent."""
        with self._guard:
            self._closed.set()
            thread, self._thread = self._thread, None
        if thread is not None:
            self._ring()
            thread.join(END_WITHIN_S)
        for heard in self._heard:
            heard.clear()
        self._heard.clear()

    def _begin(self) -> None:
        with self._guard:
            if self._thread is None and not self._closed.is_set():
                self._bell, self._pull = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
                self._thread = threading.Thread(target=self._work, name="gatewright-feed", daemon=True)
                self._thread.start()

    def _ring(self) -> None:
        with self._guard:
            if self._pull >= 0:
                try:
                    os.write(self._pull, b".")
                except BlockingIOError:
                    return  # it has rung often enough

    def _hear(self) -> None:
        for heard in list(self._heard):
            heard.set()

    def _work(self) -> None:
        was_connected = False
        try:
            while not self._closed.is_set():
                try:
                    with self._connect() as connection:
                        self._listen(connection, is_again=was_connected)
                except psycopg.Error as exc:
                    log.info("nobody is heard of for now: %s", type(exc).__name__)
                    was_connected = True
                    self._listens.set()
                    self._pause(CONNECT_AGAIN_S)
        finally:
            with self._guard:
                for end in (self._bell, self._pull):
                    os.close(end)
                self._bell, self._pull = -1, -1

    def _listen(self, connection: Connection, *, is_again: bool) -> None:
        # A notification is a hint: it need not survive a crash of the server.
        connection.execute("SET synchronous_commit = off")
        connection.execute(f"LISTEN {CHANNEL}")
        seen = self._look(connection)
        if is_again:
            self._hear()
        self._listens.set()
        looked_at = time.monotonic()
        while self._has_to_tell or not self._closed.is_set():
            if self._has_to_tell:
                self._notify(connection)
            if time.monotonic() - looked_at >= POLL_S:
                looked_at, before, seen = time.monotonic(), seen, self._look(connection)
                if seen != before:
                    self._hear()
            # Those that came with the answers to these as well.
            if [note for note in connection.notifies(timeout=0) if note.pid != connection.info.backend_pid]:
                self._hear()
            if not (self._has_to_tell or self._closed.is_set()):
                select.select([connection.fileno(), self._bell], [], [], POLL_S)
                self._silence_bell()

    def _look(self, connection: Connection) -> str:
        """Other than before whenever a transaction that wrote something has ended. Takes the time as well."""
        asked = time.monotonic()
        row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text, clock_timestamp()").fetchone()
        answered = time.monotonic()
        assert row is not None, "functions have values"
        at, measured = row[1].astimezone(UTC), (asked + answered) / 2
        known = None if self._time is None else self._time[0] + timedelta(seconds=measured - self._time[1])
        # Not for every bit of noise: time should not run backwards without need.
        if known is None or abs(at - known) > timedelta(seconds=DRIFT_S + answered - asked):
            self._time = at, measured
        return str(row[0])

    def _notify(self, connection: Connection) -> None:
        self._pause(self._told_at + GATHER_S - time.monotonic())
        # In this order: what is committed from here on is told by another one.
        self._has_to_tell = False
        try:
            connection.execute(f"NOTIFY {CHANNEL}")
        except psycopg.Error:
            self._has_to_tell = True
            raise
        self._told_at = time.monotonic()

    def _pause(self, pause_s: float) -> None:
        if pause_s > 0:
            self._closed.wait(pause_s)

    def _silence_bell(self) -> None:
        try:
            os.read(self._bell, 4096)
        except BlockingIOError:
            return
