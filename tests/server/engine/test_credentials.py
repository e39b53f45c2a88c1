"""A worker's role suffices, and no program of a gate sees what it uses to reach the database."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gatewright.server.store import create_database
from tests.acceptance.house import solo
from tests.postgres import Cluster

from .conftest import Hire
from .crew import handed_in
from .test_workers import attempt_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROLE = "worker_of_gates"
PASSWORD = "hunter2-of-the-database"
# It fails when it finds the password, and says where.
SEARCH = """\
import os
import sys
from contextlib import suppress
from pathlib import Path

wanted = sys.argv[1].encode()[::-1]
places = [("environment", repr(dict(os.environb)).encode())]
for process in Path("/proc").glob("[0-9]*"):
    for name in ("environ", "cmdline"):
        with suppress(OSError):
            places.append((f"{process}/{name}", (process / name).read_bytes()))
for descriptor in range(3, 256):
    with suppress(OSError):
        os.set_blocking(descriptor, False)
        places.append((f"descriptor {descriptor}", os.read(descriptor, 65536)))
found = [place for place, text in places if wanted in text]
print(f"{len(places)} places: {found}")
Path("looked.txt").write_text(str(len(places)))
sys.exit(len(places) < 4 or bool(found))
"""


@pytest.fixture
def limited_url(postgres: Cluster, new_database_url: str) -> Iterator[str]:
    """The test's own database by the role of a worker, which has a password."""
    postgres.do(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
    create_database(new_database_url, worker_role=ROLE)
    yield new_database_url.replace("gatewright@", f"{ROLE}:{PASSWORD}@")
    with psycopg.connect(new_database_url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {ROLE} CASCADE".encode())
    postgres.do(f"DROP ROLE {ROLE}")


async def test_a_worker_of_the_limited_role_judges_and_no_gate_sees_its_password(
    crew_of: Hire, limited_url: str, new_database_url: str, tmp_path: Path
) -> None:
    crew = crew_of(
        solo(f'{{command: {{name: search, run: "python search.py {PASSWORD[::-1]}"}}}}'), url=new_database_url
    )
    worker = crew.hire("one", url=limited_url)
    async with crew.serving() as server:
        change, _ = await handed_in(server, crew.team.clone("ada"), {"search.py": SEARCH})
        record = await server.landed(change)
        row = await attempt_of(server, change)
        evidence = await server.services.read(lambda tx: tx.evidence_of(row.id))

    told = [item.evidence for item in evidence if item.evidence.gate == "search"]
    assert [str(item.outcome) for item in told] == ["passed"], told
    assert record.landed_commit == crew.team.tip()
    assert PASSWORD not in worker.said()
    assert PASSWORD.encode() not in (Path("/proc") / str(worker.process.pid) / "environ").read_bytes()
    assert PASSWORD.encode() not in (Path("/proc") / str(worker.process.pid) / "cmdline").read_bytes()
    assert worker.end() == 0


async def test_a_role_without_the_rights_is_told_in_a_sentence_which_shows_no_password(
    crew_of: Hire, postgres: Cluster, new_database_url: str
) -> None:
    create_database(new_database_url)
    postgres.do(f"CREATE ROLE {ROLE}_not LOGIN PASSWORD '{PASSWORD}'")
    try:
        crew = crew_of(solo(), url=new_database_url)
        worker = crew.hire("one", url=new_database_url.replace("gatewright@", f"{ROLE}_not:{PASSWORD}@"))
        status = worker.process.wait(40)
    finally:
        postgres.do(f"DROP ROLE {ROLE}_not")

    assert status == 3
    assert "Traceback" not in worker.said()
    assert "keeps it from this role" in worker.said()
    assert PASSWORD not in worker.said()


def test_the_search_finds_a_password_where_there_is_one(tmp_path: Path) -> None:
    script = tmp_path / "search.py"
    script.write_text(SEARCH)
    command = [sys.executable, str(script), PASSWORD[::-1]]

    found = subprocess.run(command, cwd=tmp_path, env={"URL": PASSWORD}, capture_output=True, text=True, check=False)

    assert found.returncode == 1
    assert "environment" in found.stdout
