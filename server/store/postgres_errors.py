"""What PostgreSQL and the way to it say, in sentences: never with a value of a statement, or a password."""

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

DEADLOCK = "40P01"
SERIALIZATION = "40001"
UNIQUE = "23505"
# Two who wrote the same new row at the same time: whoever begins again finds the other's. `cached plan must not change`
# comes once to each connection after the tables were altered.
_AGAIN = frozenset({DEADLOCK, SERIALIZATION, UNIQUE, "0A000"})
# The server ends, or begins, or has ended this connection.
_GONE = frozenset({"57P01", "57P02", "57P03", "25P03", "25P04", "57P05"})
# No such database, nobody of this name, not this password, no right to it, and data that is damaged.
_CLOSED = frozenset({"3D000", "28000", "28P01", "42501", "42P01", "3F000", "XX001", "XX002"})

_SENTENCES = {
    "3D000": "{place} does not exist; create it, then run gatewright migrate.",
    "28000": "{place} lets nobody in by this name.",
    "28P01": "{place} refuses this name and password.",
    "42501": "{place} does not permit this to the role that is used. gatewright migrate is for the owner, and "
    "--worker-role gives a worker's role what it needs.",
    "42P01": "{place} lacks a table of the store, or keeps it from this role; run gatewright migrate.",
    "3F000": "{place} holds no store; run gatewright migrate.",
    "53100": "The disk of {place} is full: nothing more can be written.",
    "53200": "{place} has not enough memory.",
    "53300": "{place} takes no further connection: all are in use.",
    "55P03": "Somebody else has been writing to the same change in {place} for too long.",
    "57014": "{place} took too long to answer.",
    "25006": "{place} can only be read here, as a copy can that follows another one.",
    "XX001": "{place} is damaged; restore it from a backup.",
    "XX002": "{place} is damaged; restore it from a backup.",
    "58030": "The disk of {place} failed.",
}
# While connecting, for good and for now.
_REFUSALS = {
    "password authentication failed": "it refuses this name and password",
    "no password supplied": "it asks for a password",
    "does not exist": "there is no such database or role",
    "pg_hba.conf": "its pg_hba.conf lets nobody in this way",
    "invalid integer value": "a number in its address is none",
    "certificate": "its certificate is not trusted",
}
_ABSENCES = {
    "Connection refused": "nobody listens there",
    "could not translate host name": "its host is unknown",
    "No such file or directory": "there is no such socket",
    "starting up": "it is starting up",
    "shutting down": "it is shutting down",
    "too many clients": "all its connections are in use",
    "remaining connection slots": "all its connections are in use",
    "timeout expired": "it did not answer in time",
    "SSL": "TLS could not be agreed upon",
}


def may_succeed_again(error: Exception) -> bool:
    """Whether it is known that nothing was kept, and the same may succeed at once."""
    return _state(error) in _AGAIN or is_disconnect(error)


def is_disconnect(error: Exception) -> bool:
    """Whether the connection is no more, or never was."""
    state = _state(error)
    if state is None:
        return isinstance(_cause(error), psycopg.OperationalError)
    return state in _GONE or state.startswith("08")


def sentence_of(error: Exception, place: str) -> str | None:
    """Why the store cannot be used, as a sentence; None when the error is a defect of ours."""
    if isinstance(error, PoolTimeout):
        return f"Too much is being done at once with {place}."
    state = _state(error)
    if state in {DEADLOCK, SERIALIZATION}:
        return f"Too many have been writing to the same things in {place} at once."
    if state in _SENTENCES:
        return _SENTENCES[state].format(place=place)
    if is_disconnect(error):
        return f"{place} cannot be reached, or the connection to it ended{_reason(error)}."
    return None


def is_closed(error: Exception) -> bool:
    """Whether it answers, and no waiting will have it let this process in."""
    state = _state(error)
    return state in _CLOSED or (state is None and any(words in str(_cause(error)) for words in _REFUSALS))


def _reason(error: Exception) -> str:
    """The kind of failure, of those that the library is known to tell by these words; its whole text is not passed on.

    While connecting there is no code. Of several addresses of a host one may refuse while nobody listens at the other.
    """
    text = str(_cause(error))
    known = {**_REFUSALS, **_ABSENCES}
    return next((f": {told}" for words, told in known.items() if words in text), "")


def _cause(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _state(error: Exception) -> str | None:
    cause = _cause(error)
    return cause.sqlstate if isinstance(cause, psycopg.Error) else None
