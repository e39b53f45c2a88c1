"""The repository, the store and the services that a command works on, a team's too; each import late."""

import os
import pwd
from argparse import Namespace
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..rendezvous import STATE_FOLDER, NoServer, find_common_dir
from .command import CannotGoOn
from .team import find_team, team_services_of, team_store_of
from .team_server import refuse_server

if TYPE_CHECKING:
    from ...gates.repository import SharedRepository
    from ..services import Services
    from ..store import Store

TARGET = "target"
"""Under this name the store keeps the trusted branch, outside of every tree."""


def folder_of(options: Namespace) -> Path:
    """The folder that the command is about. One that does not exist must not stand for the repository around it."""
    folder = Path(getattr(options, "repo", os.curdir))
    if not folder.exists():
        raise CannotGoOn(f"There is no folder {folder}.", "Give --repo the path of a git repository.", code="not_found")
    return folder


def open_git(options: Namespace) -> "SharedRepository":
    """The repository; raises `RepositoryProblem`."""
    from ...gates.repository import open_repository

    return open_repository(folder_of(options))


def set_up_common_dir(options: Namespace) -> str:
    """The git common folder, found without running git; raises `CannotGoOn`, and `StoreMissing` before any set-up."""
    from ..store import StoreMissing
    from ..store.creation import DATABASE_FILE

    try:
        common_dir = find_common_dir(str(folder_of(options).absolute()))
    except NoServer as exc:
        message, _, action = str(exc).partition(": ")
        raise CannotGoOn(f"{message}.", f"{action[:1].upper()}{action[1:]}", code="no_repository") from exc
    folder = Path(common_dir) / STATE_FOLDER
    if not (folder / DATABASE_FILE).exists():
        raise StoreMissing(f"There is no gatewright store in {folder}.")
    return common_dir


@contextmanager
def store_of(repository: "SharedRepository") -> Generator["Store", None, None]:
    """The repository's store, closed afterwards; raises `StoreMissing` and its kin."""
    from ..store import open_store

    store = open_store(repository.state_dir, create=False)
    try:
        yield store
    finally:
        store.close()


def recorded_target(store: "Store") -> str:
    """The trusted branch that `init` recorded."""
    target = store.read(lambda tx: tx.meta_get(TARGET))
    if target is None:
        raise CannotGoOn("No trusted branch is recorded for this repository.", "gatewright init records one.")
    return target


@contextmanager
def records_of(options: Namespace) -> Generator["Store", None, None]:
    """The store of a team or of this repository, for what asks nothing of git."""
    team = find_team(options)
    if team is not None:
        with team_store_of(team) as store:
            yield store
        return
    refuse_server(options)
    set_up_common_dir(options)
    with store_of(open_git(options)) as store:
        yield store


@contextmanager
def services_of(options: Namespace) -> Generator["Services", None, None]:
    """Everything that the operations work with, in this process: a team's, or this repository's.

    The servers see what is committed.
    """
    team = find_team(options)
    if team is not None:
        with team_services_of(team) as services:
            yield services
        return
    refuse_server(options)
    common_dir = set_up_common_dir(options)
    from ..composition import open_services
    from ..telemetry.starting import begin_briefly

    begin_briefly()
    services = open_services(Path(common_dir))
    try:
        yield services
    finally:
        services.store.close()


def user_name() -> str:
    """Whose process this is: the operating system's name of the user, not a variable that anybody may set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
