"""Whatever is damaged of what gatewright keeps, `gatewright fsck` names it, and it finds nothing where nothing is."""

import contextlib
import io
import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import anyio
import pytest

from gatewright.server.cli.command import Exit
from gatewright.server.cli.main import main
from gatewright.server.operations.changes import cancel
from gatewright.server.people.known import Person, Proof

from .examining import altering, found, fsck
from .house import PLAN, Repository, serving, staged

OBJECT_MODE = 0o644

# Each tells one corruption from a whole change that has landed.
pytestmark = pytest.mark.slow


async def live_through(repository: Repository) -> None:
    """c1 lands; c2 passes its plan, and its code is held after a failed attempt; c3 is cancelled; c4 is open."""
    async with serving(repository) as server, server.agent() as ada:
        for _ in range(2):
            change = await ada.start()
            await ada.pass_stage({f"docs/changes/{change}.md": PLAN}, change, "plan")
            if change == "c1":
                await ada.pass_stage({"a.txt": "a"}, change, "code")
                await server.landed(change)
        await ada.submit(await ada.claim("c2", "code"), {"broken.txt": "1"})
        await ada.start("Ended")
        await ada.claim("c3", "plan")
        await cancel(server.services, "c3", by=Person("eve", Proof.WORD), reason="Not needed.")
        await ada.start("Open")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: every test alters a copy of its own."""
    repository = Repository(tmp_path_factory.mktemp("lived") / "repo", staged())
    anyio.run(live_through, repository)
    return repository.path


@pytest.fixture
def repository(lived: Path, tmp_path: Path) -> Repository:
    copy = Repository.__new__(Repository)
    copy.path = Path(shutil.copytree(lived, tmp_path / "repo", symlinks=True))
    return copy


def artifact(repository: Repository) -> str:
    """The commit of c2's failed attempt."""
    with sqlite3.connect(repository.state / "state.db") as connection:
        (text,) = connection.execute("SELECT record FROM change WHERE id = 'c2'").fetchone()
    attempts = json.loads(text)["stages"][1]["attempts"]
    return str(attempts[-1]["commit"])


def store_git(repository: Repository, *arguments: str) -> str:
    return repository.git("--git-dir", str(repository.state / "artifacts.git"), *arguments)


def test_a_store_that_nobody_touched_is_well_and_stays_as_it_is(repository: Repository) -> None:
    before = (repository.state / "state.db").read_bytes()
    status, report = fsck(repository)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(["--repo", str(repository.path), "fsck"])

    assert (status, report["problems"], report["leftovers"]) == (Exit.OK, [], [])
    assert (report["clean"], report["changes"]) == (True, 4)
    assert report["events"] > 20
    assert "all is well" in out.getvalue()
    assert (repository.state / "state.db").read_bytes() == before


def test_a_deleted_event_is_a_gap(repository: Repository) -> None:
    with altering(repository) as store:
        store.execute("DELETE FROM event WHERE change = 'c2' AND version = 3")
    assert [kind for kind, _ in found(repository)] == ["history"]


def test_an_altered_event_is_found_by_replay(repository: Repository) -> None:
    with altering(repository) as store:
        store.execute("UPDATE event SET event = replace(event, '\"ada\"', '\"eve\"') WHERE change = 'c2'")
    ((kind, what),) = found(repository)

    assert kind == "record"
    assert "stages" in what


def test_an_event_that_cannot_follow_is_named(repository: Repository) -> None:
    with altering(repository) as store:
        store.execute(
            "UPDATE event SET event = (SELECT event FROM event WHERE version = 1 AND change = 'c4') "
            "WHERE change = 'c2' AND version = 2"
        )
    ((kind, what),) = found(repository)

    assert kind == "history"
    assert "event 2 cannot follow" in what


def test_an_event_that_nobody_can_read_is_named(repository: Repository) -> None:
    with altering(repository) as store:
        store.execute("UPDATE event SET event = '{\"kind\":\"magic\"}' WHERE change = 'c2' AND version = 4")
    ((kind, what),) = found(repository)

    assert kind == "unreadable"
    assert what.startswith("Event 4 of c2 cannot be read: ")
    assert "a kind that this version does not know: 'magic'" in what


def test_an_altered_record_is_told_with_what_differs(repository: Repository) -> None:
    with altering(repository) as store:
        store.execute(
            'UPDATE change SET record = replace(record, \'"title":"Add sub"\', \'"title":"Add div"\') WHERE id = \'c2\''
        )
    ((kind, what),) = found(repository)

    assert (kind, "they differ in title" in what) == ("record", True)


def test_a_stage_that_was_set_to_passed_breaks_invariants_and_has_no_evidence(repository: Repository) -> None:
    with altering(repository) as store:
        (text,) = store.execute("SELECT record FROM change WHERE id = 'c2'").fetchone()
        record = json.loads(text)
        code = record["stages"][1]
        code.update(state="passed", accepted=1, lease=None)
        store.execute("UPDATE change SET record = ? WHERE id = 'c2'", (json.dumps(record, separators=(",", ":")),))
    kinds = {kind for kind, _ in found(repository)}

    assert {"record", "invariant", "evidence", "openings"} <= kinds


def test_a_record_that_nobody_can_read_is_named_and_the_others_are_looked_at(repository: Repository) -> None:
    with altering(repository) as store:
        store.execute("UPDATE change SET record = 'x' WHERE id = 'c2'")
        store.execute("DELETE FROM opening WHERE change = 'c4'")
    assert found(repository) == [
        ("unreadable", "The record of c2 cannot be read."),
        ("openings", "What can be claimed of c4 is not listed as it is: 'plan'."),
    ]


def test_evidence_that_was_taken_away_is_missed(repository: Repository) -> None:
    with altering(repository) as store:
        store.execute("DELETE FROM evidence WHERE change = 'c1' AND gate = 'ok'")
    whats = [what for kind, what in found(repository) if kind == "evidence"]

    assert len(whats) == 2, "of the stage and of the landing"
    assert all("gate 'ok' has no evidence" in what for what in whats)


def test_evidence_about_another_commit_counts_for_nothing(repository: Repository) -> None:
    with altering(repository) as store:
        store.execute("UPDATE evidence SET \"commit\" = ? WHERE change = 'c2' AND stage = 'plan'", ("f" * 40,))
    assert {kind for kind, _ in found(repository)} == {"evidence"}


def test_an_evaluation_that_nobody_waits_for_and_one_that_is_not_queued_are_told(repository: Repository) -> None:
    with altering(repository) as store:
        store.execute("UPDATE evaluation SET state = 'queued' WHERE id = 'c1.e1'")
    assert found(repository) == [("evaluations", "c1.e1 is queued or runs, and nobody waits for it.")]


def test_rows_of_a_change_that_is_gone_are_strays(repository: Repository) -> None:
    with altering(repository) as store:
        store.execute("DELETE FROM change WHERE id = 'c3'")
    kinds = [kind for kind, _ in found(repository)]

    assert set(kinds) == {"stray"}


def test_bytes_flipped_in_the_database_are_found(repository: Repository) -> None:
    """In the pages of an index: every row can still be read."""
    with altering(repository) as store:
        (root,) = store.execute("SELECT rootpage FROM sqlite_master WHERE name = 'change_by_state'").fetchone()
        (size,) = store.execute("PRAGMA page_size").fetchone()
    database = repository.state / "state.db"
    with database.open("r+b") as file:
        file.seek((root - 1) * size + size - 40)
        file.write(b"\xff" * 24)
    assert "database" in {kind for kind, _ in found(repository)}


def test_a_database_that_is_none_any_more_cannot_be_looked_at(repository: Repository) -> None:
    (repository.state / "state.db").write_bytes(b"not a database" * 1_000)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(["--repo", str(repository.path), "fsck", "--json"])

    assert status == Exit.ERRORED
    assert "backup" in json.loads(out.getvalue())["next"]


def test_a_commit_that_no_ref_keeps_is_told_with_the_command_that_keeps_it(repository: Repository) -> None:
    commit = artifact(repository)
    for ref in store_git(repository, "for-each-ref", "--format=%(refname)", f"--points-at={commit}").split():
        store_git(repository, "update-ref", "-d", ref)
    _, report = fsck(repository)
    (problem,) = report["problems"]
    command = problem["do"].split("`")[1]
    repository.git(*command.split()[1:])

    assert problem["kind"] == "ref"
    assert commit in problem["what"]
    assert found(repository) == []


def loose(repository: Repository, oid: str) -> Path:
    """The object as a file of its own, in place of its pack."""
    objects = repository.state / "artifacts.git" / "objects"
    packs = list((objects / "pack").glob("*.pack"))
    moved = [pack.rename(objects.parent / pack.name) for pack in packs]
    for index in (objects / "pack").glob("*"):
        index.unlink()
    for pack in moved:
        with pack.open("rb") as content:
            subprocess.run(["git", "--git-dir", str(objects.parent), "unpack-objects", "-q"], stdin=content, check=True)
        pack.unlink()
    return objects / oid[:2] / oid[2:]


def test_an_object_that_is_gone_is_found(repository: Repository) -> None:
    commit = artifact(repository)
    loose(repository, commit).unlink()
    problems = found(repository)

    assert {kind for kind, _ in problems} == {"artifacts"}
    assert any(f"{commit} ('code' of c2) is gone from the store." == what for _, what in problems)


def test_bytes_flipped_in_a_file_that_was_handed_in_are_found(repository: Repository) -> None:
    blob = store_git(repository, "rev-parse", f"{artifact(repository)}:broken.txt")
    path = loose(repository, blob)
    path.chmod(OBJECT_MODE)
    data = bytearray(path.read_bytes())
    data[-6] ^= 0xFF
    path.write_bytes(bytes(data))

    assert any(kind == "artifacts" and blob in what for kind, what in found(repository))


def test_an_artifact_store_that_is_gone_is_told_and_not_made_anew(repository: Repository) -> None:
    (repository.state / "artifacts.git").rename(repository.state / "elsewhere")

    assert [kind for kind, _ in found(repository)] == ["artifacts"]
    assert not (repository.state / "artifacts.git").exists()


def test_a_branch_that_was_moved_back_is_told_with_what_landed(repository: Repository) -> None:
    landed = repository.tip()
    repository.git("update-ref", "refs/heads/main", f"{landed}~1")
    ((kind, what),) = found(repository)

    assert kind == "landed"
    assert landed in what


def test_saved_work_that_is_gone_is_told(repository: Repository) -> None:
    ref = repository.common_dir / "refs" / "gatewright" / "saved" / "c9-code-1"
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text("e" * 40 + "\n")
    ((kind, what),) = found(repository)

    assert kind == "ref"
    assert "refs/gatewright/saved/c9-code-1" in what


def test_work_that_was_saved_of_a_released_lease_is_looked_for_where_it_lies(repository: Repository) -> None:
    anyio.run(release_unfinished, repository)
    before = found(repository)
    for ref in repository.git("for-each-ref", "--format=%(refname)", "refs/gatewright/saved").split():
        repository.git("update-ref", "-d", ref)
    told = found(repository)

    assert len(told) == 1, told
    ((kind, what),) = told

    assert before == []
    assert kind == "artifacts"
    assert "kept for the next holder of 'plan' of c4, is gone" in what


async def release_unfinished(repository: Repository) -> None:
    async with serving(repository, has_engine=False) as server, server.agent() as ada:
        brief = await ada.claim("c4", "plan")
        (Path(brief["workspace"]) / "half.txt").write_text("half")
        await ada.get("release_stage", lease=brief["lease"], because="cannot", reason="No idea.")
        await ada.claim("c4", "plan")


def test_what_is_left_of_changes_that_are_over_is_no_problem(repository: Repository) -> None:
    (repository.path / ".gatewright/work/c1-code-1").mkdir(parents=True)
    status, report = fsck(repository)

    assert status == Exit.OK
    assert [left["kind"] for left in report["leftovers"]] == ["leftover"]
    assert "c1-code-1" in report["leftovers"][0]["what"]
