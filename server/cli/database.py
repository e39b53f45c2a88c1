"""The shared database that a command is about: from an option, or from the environment, which nobody else can read."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Generator
from contextlib import contextmanager

from .command import CannotGoOn, UsageError

VARIABLE = "GATEWRIGHT_DATABASE_URL"


def add_database_url(parser: ArgumentParser, *, option: str = "--database-url") -> None:
    """Declare the option; `database_url` reads it."""
    about = (
        f"postgresql://user@host/name; {VARIABLE} says the same and does not show a password in the list of processes"
    )
    parser.add_argument(option, dest="database_url", metavar="URL", help=about)


def database_url(options: Namespace, *, option: str = "--database-url") -> str:
    """The address; raises `UsageError` when there is none."""
    url = find_database_url(options)
    if url is None:
        raise UsageError(f"give {option}, or set {VARIABLE}")
    return url


def find_database_url(options: Namespace) -> str | None:
    """The address, or None when nobody gave one."""
    given: str | None = options.database_url
    return given or os.environ.get(VARIABLE) or None


@contextmanager
def told_of_database() -> Generator[None]:
    """Turn what is wrong with the database into a sentence that sends nobody to a repository."""
    from ..store import NotMigrated, StoreClosed, StoreUnavailable, StoreUnusable

    try:
        yield
    except NotMigrated as exc:
        raise CannotGoOn(str(exc), "gatewright migrate makes one.", code="not_set_up") from exc
    except (StoreUnusable, StoreClosed) as exc:
        raise CannotGoOn(str(exc), "Mend that, then run it again.", code="store_unusable") from exc
    except StoreUnavailable as exc:
        raise CannotGoOn(str(exc), "Try again when it is back.", code="store_unavailable") from exc
