"""A seat for each bridge of a client, so that the bridge after a killed one goes on as the same caller.

A client starts another bridge when one dies, and repeats what it had no answer to, with the same keys. Keys belong to
callers: from a stranger they would mean nothing, and the effect would double. So a bridge notes its name in a file that
is locked for as long as it lives and taken away when it ends in order. What is left without a lock is the seat of a
killed bridge; the next one of the same client process takes it, name and all. With two such seats nobody knows which
is whose: then a bridge is a newcomer, as it is where the system does not say who started it (no /proc).
Standard library only: this stands on the bridge's path.
"""

import os

from .rendezvous import NoServer, state_folder

SEATS_FOLDER = "seats"
SEATS_LOOKED_AT_MAX = 512
NAME_BYTES_MAX = 64

_NEW = "new-"
_START_TIME_FIELD = 19


class Seat:
    """`name` is what the bridge greets with: new, or a killed predecessor's."""

    def __init__(self, name: str, path: str | None = None, lock: int | None = None) -> None:
        self.name = name
        self._path = path
        self._lock = lock

    def leave(self) -> None:
        """End in order: nobody goes on from here."""
        if self._path is not None:
            _remove(self._path)
        self.give_back()

    def give_back(self) -> None:
        """Leave the seat as it was found, for whoever it belongs to."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def take_seat(common_dir: str, fresh: str) -> Seat:
    """The one seat that a killed bridge of this client left behind, or a new one under the name `fresh`.

    Where no seat can be kept (a full disk, for instance) the bridge does without.
    """
    client = _start_of(str(os.getppid()))
    if client is None:
        return Seat(fresh)
    try:
        folder = os.path.join(state_folder(common_dir), SEATS_FOLDER)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return _find_abandoned(folder, client) or _new_seat(folder, client, fresh)
    except (OSError, NoServer):
        return Seat(fresh)


def _find_abandoned(folder: str, client: str) -> Seat | None:
    """The only abandoned seat of the client; seats of clients that are gone are taken away on the way."""
    found = []
    for entry in os.listdir(folder)[:SEATS_LOOKED_AT_MAX]:
        path = os.path.join(folder, entry)
        owner = entry.removeprefix(_NEW).rpartition("-")[0]
        if owner == client and not entry.startswith(_NEW):
            if (seat := _lock_abandoned(path)) is not None:
                found.append(seat)
        elif owner != client and _start_of(owner.partition("-")[0]) != owner:
            _remove(path)
    if len(found) == 1:
        return found[0]
    for seat in found:
        seat.give_back()
    return None


def _lock_abandoned(path: str) -> Seat | None:
    import fcntl

    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        name = os.read(lock, NAME_BYTES_MAX).decode("ascii")
        # Whoever ended in order between our opening and our locking has taken it away.
        if name and os.fstat(lock).st_nlink:
            return Seat(name, path, lock)
    except (OSError, ValueError):
        pass  # somebody sits there, or it is no seat
    os.close(lock)
    return None


def _new_seat(folder: str, client: str, name: str) -> Seat:
    import fcntl

    path = os.path.join(folder, f"{client}-{name}")
    unseen = os.path.join(folder, f"{_NEW}{client}-{name}")
    lock = os.open(unseen, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, name.encode("ascii"))
        # Seen only once it is locked: before, it would look abandoned.
        os.rename(unseen, path)
    except OSError:
        _remove(unseen)
        os.close(lock)
        raise
    return Seat(name, path, lock)


def _start_of(process: str) -> str | None:
    """A process's id with the time of its start, which no later process of the same id shares; None if it is gone."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            # The program's name stands before and may hold anything, brackets as well.
            fields = file.read().rpartition(b")")[2].split()
        return f"{process}-{int(fields[_START_TIME_FIELD])}"
    except (OSError, ValueError, IndexError):
        return None


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # somebody else was quicker, or it stays until somebody else takes it away
