"""What SQLite and the disk below it say, in sentences."""

import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

ERRORS = (DBAPIError, sqlite3.Error, PoolTimeout)
"""What using a connection may raise."""

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SENTENCES = {
    sqlite3.SQLITE_FULL: "The disk is full: nothing more can be written to {path}.",
    sqlite3.SQLITE_READONLY: "{path} cannot be written: it, its folder or its disk is read-only.",
    sqlite3.SQLITE_IOERR: "The disk failed to read or write {path} ({name}).",
    sqlite3.SQLITE_CANTOPEN: "{path}, or the journal beside it, cannot be opened.",
    sqlite3.SQLITE_PERM: "{path} cannot be used: permission denied.",
    sqlite3.SQLITE_NOMEM: "There is not enough memory to use {path}.",
    **dict.fromkeys(_BUSY, "Another program has held {path} locked for too long."),
    **dict.fromkeys(_DAMAGED, "{path} is damaged; restore it from a backup."),
}


def is_busy(error: Exception) -> bool:
    """Whether the whole transaction may succeed when it is tried again."""
    return _code(error) in _BUSY


def is_damage(error: Exception) -> bool:
    """Whether the file cannot be what was written."""
    return _code(error) in _DAMAGED


def sentence_of(error: Exception, path: Path) -> str | None:
    """Why the store cannot be used, as a sentence; None when the error is a defect of ours."""
    if isinstance(error, PoolTimeout):
        return f"Too much is being done at once with {path}."
    sentence = _SENTENCES.get(_code(error) or sqlite3.SQLITE_OK)
    return None if sentence is None else sentence.format(path=path, name=_name(error))


def _cause(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _code(error: Exception) -> int | None:
    """SQLite's primary result code; the driver sets none on what it finds wrong by itself."""
    code: int | None = getattr(_cause(error), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _name(error: Exception) -> str:
    return str(getattr(_cause(error), "sqlite_errorname", "unknown"))
