"""The team whose store a command is about, in the place of this repository's: three things that go together.

Each comes from an option or from the environment, which does not show a password in the list of processes.
"""

import os
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .command import CannotGoOn, UsageError
from .database import VARIABLE, told_of_database

if TYPE_CHECKING:
    from ..services import Services
    from ..store import Store

REMOTE_VARIABLE = "GATEWRIGHT_REMOTE"
STATE_VARIABLE = "GATEWRIGHT_STATE"
# Option and variable, and what they name.
_PARTS = (
    ("--database-url", VARIABLE, "URL", "postgresql://user@host/name, a team's store instead of this repository's"),
    ("--remote", REMOTE_VARIABLE, "URL", "with a database: the git repository that the team shares"),
    ("--state", STATE_VARIABLE, "DIR", "with a database: a folder for this process alone, which may be lost"),
)
TEAM_VARIABLES = frozenset({VARIABLE, REMOTE_VARIABLE, STATE_VARIABLE})


@dataclass(frozen=True, slots=True)
class Team:
    """Where a team's database is, the git repository that it shares, and what of both is kept on this machine."""

    database_url: str
    remote: str
    state: Path


def add_team(parser: ArgumentParser, *, is_shown: bool = True) -> None:
    """Declare the options; `find_team` reads them."""
    for option, variable, value, about in _PARTS:
        text = f"{about}; or the variable {variable}" if is_shown else SUPPRESS
        parser.add_argument(option, metavar=value, help=text)


def is_team_named(options: Namespace) -> bool:
    """Whether an option or a variable names one, whole or in part."""
    return any(_find(options, option, variable) for option, variable, *_ in _PARTS)


def find_team(options: Namespace) -> Team | None:
    """The team that is named, or None when nothing names one; raises `UsageError` when only a part does."""
    found = {option: _find(options, option, variable) for option, variable, *_ in _PARTS}
    if not any(found.values()):
        return None
    missing = [f"{option} (or {variable})" for option, variable, *_ in _PARTS if not found[option]]
    if missing:
        given = [_given(options, option, variable) for option, variable, *_ in _PARTS if found[option]]
        raise UsageError(
            f"a team's store is three things together: with {' and '.join(given)} give {' and '.join(missing)}"
        )
    url, remote, state = found.values()
    return Team(url, remote, Path(state))


def refuse_team(command: str, options: Namespace, instead: str) -> None:
    """Raise `CannotGoOn` when a team is named, whole or in part, to a command that works in a repository alone."""
    for option, variable, *_ in _PARTS:
        if not _find(options, option, variable):
            continue
        by = _given(options, option, variable)
        message = f"gatewright {command} works in a repository of this machine alone, and {by} names a team's store."
        action = f"For this repository: leave {option} out." if by == option else f"For this repository: unset {by}."
        raise CannotGoOn(message, f"{instead} {action}".strip(), code="not_in_a_team")


@contextmanager
def team_services_of(team: Team, *, is_worker: bool = False) -> "Generator[Services]":
    """What the operations work with, on the team's store; what is wrong with any part is raised in a sentence."""
    from ...gates.remote.address import parse_address
    from ...gates.remote.problems import RemoteProblem
    from ..composition import open_team_services
    from ..store import StoreMissing
    from ..telemetry.starting import begin_briefly

    try:
        parse_address(team.remote)
    except ValueError as exc:
        raise UsageError(f"--remote: {exc}") from exc
    begin_briefly()
    with _team_store_of(team, is_worker=is_worker) as store:
        try:
            yield open_team_services(store, team.remote, team.state)
        except RemoteProblem as exc:
            raise CannotGoOn(str(exc), "Mend that, then run it again.", code="remote") from exc
        except StoreMissing as exc:
            raise CannotGoOn(str(exc), "gatewright migrate --target BRANCH names one.", code="not_set_up") from exc


@contextmanager
def team_store_of(team: Team) -> "Generator[Store]":
    """The team's store alone: nothing of git is asked."""
    with _team_store_of(team, is_worker=False) as store:
        yield store


@contextmanager
def _team_store_of(team: Team, *, is_worker: bool) -> "Generator[Store]":
    from ..store import open_database
    from ..telemetry.cleaning import remember_secrets_of

    remember_secrets_of(team.database_url)
    with told_of_database(), closing(open_database(team.database_url, is_worker=is_worker)) as store:
        yield store


def _find(options: Namespace, option: str, variable: str) -> str:
    """What the option says, else the variable; empty for neither."""
    given = getattr(options, option.removeprefix("--").replace("-", "_"), None)
    return str(given) if given else os.environ.get(variable, "")


def _given(options: Namespace, option: str, variable: str) -> str:
    """The one of the two that says it."""
    return option if getattr(options, option.removeprefix("--").replace("-", "_"), None) else variable
