"""Which PostgreSQL database: an address that never shows its password."""

from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict

from .problems import StoreUnusable

SCHEMES = ("postgresql://", "postgres://")
EXAMPLE = "postgresql://user:password@host:5432/name"


@dataclass(frozen=True, slots=True)
class Place:
    """`name` is for sentences; `url` may hold a password and is shown nowhere."""

    url: str = field(repr=False)
    name: str


def place_of(url: str) -> Place:
    """Look at an address; raises `StoreUnusable` with a sentence that repeats nothing of it."""
    if not url.startswith(SCHEMES):
        raise StoreUnusable(f"A database's address begins with {SCHEMES[0]}, as in {EXAMPLE}.")
    unreadable = StoreUnusable(
        f"The database's address cannot be read; it looks like {EXAMPLE}, with %40 for @, %3A for : and %2F for / "
        "where a password has them."
    )
    try:
        found = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.Error:
        # What the library says of it quotes it.
        raise unreadable from None
    name, host, port = found.get("dbname", found.get("user", "")), found.get("host", ""), found.get("port", "")
    # A password that was not written as it must be ends up in these.
    if any("@" in part for part in (name, host, port)):
        raise unreadable
    where = ":".join(part for part in (host, port) if part)
    return Place(url, f"PostgreSQL's database '{name}'" + (f" at {where}" if where else ""))
