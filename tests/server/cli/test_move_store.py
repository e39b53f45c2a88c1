"""A repository's store is brought into PostgreSQL, and a store is made there, from the command line."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from gatewright.server.cli.database import VARIABLE
from gatewright.server.store import open_database
from tests.postgres import new_database_url, postgres

from .conftest import Desk, Ran

__all__ = ["new_database_url", "postgres"]

Call = Callable[..., Ran]


def test_a_store_is_made_once_and_found_sound_afterwards(call: Call, new_database_url: str) -> None:
    made = call("migrate", "--database-url", new_database_url)
    again = call("migrate", "--database-url", new_database_url)

    assert (made.status, again.status) == (0, 0)
    assert made.out.startswith("Made the store.")
    assert "nothing to do" in again.out


def test_the_address_may_come_from_the_environment_and_has_to_come_from_somewhere(
    call: Call, new_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = call("migrate")
    monkeypatch.setenv(VARIABLE, new_database_url)

    assert (without.status, VARIABLE in without.err) == (2, True)
    assert call("migrate").status == 0


def test_a_store_of_a_newer_version_is_left_alone(call: Call, new_database_url: str) -> None:
    call("migrate", "--database-url", new_database_url)
    with psycopg.connect(new_database_url, autocommit=True) as database:
        database.execute("UPDATE gatewright.meta SET value = '99' WHERE name = 'schema_version'")

    told = call("migrate", "--database-url", new_database_url)

    assert told.status == 3
    assert "made by a newer gatewright (schema 99" in told.err


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://u:s3cret@h/n", "begins with postgresql://"),
        ("postgresql://u:s3cret@h@x/n", "cannot be read"),
        ("postgresql://u:s3/cret@h/n", "cannot be read"),
        ("postgresql://u:s3cret@127.0.0.1:1/n", "nobody listens there"),
        ("postgresql://u:s3cret@/n?host=/nowhere", "no such socket"),
        ("postgresql://u:s3cret@/n?wrong=1", "cannot be read"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_in_one_sentence_without_its_password(
    call: Call, url: str, sentence: str
) -> None:
    told = call("migrate", "--database-url", url)

    assert told.status == 3, told
    assert sentence in told.err
    assert not {"s3cret", "s3", "cret"} & set(told.err.replace("/", " ").replace("@", " ").split())


def test_without_the_library_it_is_said_what_to_install(new_database_url: str) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from gatewright.server.cli.main import main\n"
        f"sys.exit(main(['migrate', '--database-url', {new_database_url!r}]))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 3
    assert "pip install 'gatewright[team]'" in done.stderr


def test_a_repositorys_store_is_moved_and_taken_back(ready: Desk, call: Call, new_database_url: str) -> None:
    moved = call("move-store", "--to", new_database_url)
    local = call("log")
    again = call("move-store", "--to", new_database_url)
    back = call("move-store", "--back")

    assert moved.status == 0, moved
    assert "all are the same" in moved.out
    with closing(open_database(new_database_url)) as store:
        assert store.read(lambda tx: tx.meta_get("target")) == "main"
    assert "was moved to PostgreSQL's database" in local.err
    assert (again.status, back.status) == (3, 0)
    assert call("log").status == 0


@pytest.mark.slow
def test_a_server_that_runs_here_is_not_robbed_of_its_store(ready: Desk, call: Call, new_database_url: str) -> None:
    assert call("status").status == 0

    told = call("move-store", "--to", new_database_url)

    assert told.status == 3
    assert "A server of this repository is running." in told.err
