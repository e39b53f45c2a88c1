"""A commit comes from the remote by its full id, checked as any other; what is refused leaves nothing behind."""

import os
import subprocess
from pathlib import Path

import pytest

from gatewright.gates.artifacts import BadArtifact, FetchBudget, TooLarge
from gatewright.gates.remote.problems import RemoteFault, RemoteProblem

from .conftest import Replica, Shared, open_replica

BRANCH = "refs/heads/gatewright/c1/code-1"


def test_a_pushed_commit_comes_in_by_its_full_id(replica: Replica, shared: Shared, base: str) -> None:
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, BRANCH)

    replica.store.fetch(commit, base=base)

    assert replica.store.read(commit, "b.txt", 10) == b"two\n"
    assert [change.path for change in replica.store.changes(base, commit)] == ["b.txt"]


def test_a_commit_that_was_not_pushed_is_named_and_the_way_to_it(replica: Replica, shared: Shared, base: str) -> None:
    commit = shared.commit({"b.txt": "two\n"})

    with pytest.raises(BadArtifact, match=f"There is no commit {commit} on the remote. Push it first."):
        replica.store.fetch(commit, base=base)


def test_a_commit_comes_in_where_the_remote_hides_the_ref_that_has_it(
    replica: Replica, shared: Shared, base: str
) -> None:
    """An operator may keep refs/gatewright out of everybody's sight."""
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, "refs/gatewright/attempts/x")
    shared.git("config", "uploadpack.hideRefs", "refs/gatewright", cwd=shared.path)

    replica.store.fetch(commit, base=base)

    assert "refs/gatewright/attempts/x" not in replica.remote.tips("refs/*")
    assert replica.store.has(commit)


@pytest.mark.slow
def test_what_an_older_git_serves_by_refs_alone_comes_in_too(
    replica: Replica, shared: Shared, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first version of git's protocol gives out only what a ref stands at."""
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, BRANCH)
    before = shared.commit({"c.txt": "three\n"})
    shared.push(before, BRANCH + "0")
    shared.push(shared.commit({"d.txt": "four\n"}), BRANCH + "0")
    monkeypatch.setitem(replica.remote._environment, "GIT_CONFIG_COUNT", "2")
    monkeypatch.setitem(replica.remote._environment, "GIT_CONFIG_KEY_1", "protocol.version")  # read-only
    monkeypatch.setitem(replica.remote._environment, "GIT_CONFIG_VALUE_1", "0")  # likewise

    replica.store.fetch(commit, base=base)

    with pytest.raises(BadArtifact, match="Push it first"):
        replica.store.fetch(before, base=base)


@pytest.mark.parametrize("oid", ["main", "refs/heads/main", "--upload-pack=x", "HEAD", "+x:y", "0" * 40, "f" * 39])
def test_only_full_ids_reach_git(replica: Replica, base: str, oid: str) -> None:
    with pytest.raises(BadArtifact):
        replica.store.fetch(oid, base=base)


def test_a_pack_above_the_budget_is_left_in_the_middle_and_nothing_of_it_stays(
    replica: Replica, shared: Shared, base: str
) -> None:
    commit = shared.commit({"big.bin": os.urandom(2_000_000)})
    shared.push(commit, BRANCH)
    before = _bytes_below(replica.mirror.common_dir)

    with pytest.raises(TooLarge):
        replica.store.fetch(commit, base=base, fetch_budget=FetchBudget(bytes_max=300_000))

    assert _bytes_below(replica.mirror.common_dir) - before < 20_000


def test_what_unpacks_to_more_than_the_budget_is_refused_and_nothing_of_it_stays(
    replica: Replica, shared: Shared, base: str
) -> None:
    commit = shared.commit({"zeros.bin": bytes(3_000_000)})
    shared.push(commit, BRANCH)
    before = _bytes_below(replica.mirror.common_dir)

    with pytest.raises(TooLarge, match="adds"):
        replica.store.fetch(commit, base=base, fetch_budget=FetchBudget(bytes_max=300_000))

    assert _bytes_below(replica.mirror.common_dir) - before < 20_000


def test_an_object_that_is_not_sound_is_refused(replica: Replica, shared: Shared, base: str) -> None:
    blob = shared.git("hash-object", "-w", "--stdin", stdin=b"x")
    tree = shared.git(
        "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=b"100644 .git\0" + bytes.fromhex(blob)
    )
    commit = shared.git("commit-tree", tree, "-p", base, "-m", "evil")
    shared.push(commit, BRANCH)

    with pytest.raises(BadArtifact, match="cannot be taken over"):
        replica.store.fetch(commit, base=base)

    assert not _holds(replica.store.path, commit)


@pytest.mark.slow
def test_a_commit_from_elsewhere_is_refused(replica: Replica, shared: Shared, base: str) -> None:
    shared.git("checkout", "-q", "--orphan", "other")
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, BRANCH)

    with pytest.raises(BadArtifact, match="does not descend"):
        replica.store.fetch(commit, base=base)


def test_what_is_no_commit_is_refused_whatever_names_it(replica: Replica, shared: Shared, base: str) -> None:
    shared.git("tag", "-a", "t", "-m", "annotated", base)
    tag, tree = shared.git("rev-parse", "t"), shared.git("rev-parse", f"{base}^{{tree}}")
    shared.push(tag, "refs/tags/t")
    shared.push(tree, "refs/gatewright/tree")

    for oid, kind in ((tag, "tag"), (tree, "tree")):
        with pytest.raises(BadArtifact, match=f"is a {kind}, not a commit"):
            replica.store.fetch(oid, base=base)


def test_asking_for_what_is_not_there_holds_up_nobody(replica: Replica, shared: Shared, base: str) -> None:
    with pytest.raises(BadArtifact):
        replica.store.fetch("1" * 40, base=base)

    assert replica.mirror.branch_tip("main") == base


@pytest.mark.slow
def test_a_tag_of_an_agent_does_not_come_along(replica: Replica, shared: Shared, base: str) -> None:
    """Version plug-ins would believe it."""
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, BRANCH)
    shared.push(commit, "refs/tags/v99")

    replica.store.fetch(commit, base=base)

    assert replica.store.git.text("for-each-ref", "refs/tags") == ""


def test_another_server_has_by_id_what_one_has_kept(
    replica: Replica, shared: Shared, base: str, tmp_path: Path
) -> None:
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, BRANCH)
    replica.store.fetch(commit, base=base)
    replica.store.keep(commit, f"attempts/c1/code/{commit}")
    shared.git("push", "-q", "origin", f":{BRANCH}")

    other = open_replica(tmp_path / "other", shared.url)

    assert other.store.read(commit, "b.txt", 10) == b"two\n"
    assert other.store.is_ancestor(base, commit)


@pytest.mark.slow
def test_what_the_server_made_by_itself_is_kept_on_the_remote(
    replica: Replica, shared: Shared, base: str, tmp_path: Path
) -> None:
    replica.store.fetch_base(base)
    from ..artifacts.project import WHEN

    made = replica.store.commit_files(base, {"b.txt": "made\n"}, message="m", author="ada", when=WHEN)
    replica.store.fetch(made, base=base)
    replica.store.keep(made, f"attempts/c1/code/{made}")

    other = open_replica(tmp_path / "other", shared.url)

    assert other.store.read(made, "b.txt", 10) == b"made\n"


def test_what_is_nowhere_any_more_is_said_to_be(replica: Replica, base: str) -> None:
    gone = "1" * 40

    with pytest.raises(BadArtifact, match="not on the remote any more"):
        replica.store.tree_of(gone)
    assert not replica.store.has(gone)


def test_a_remote_that_cannot_be_reached_is_no_fault_of_the_commit(replica: Replica, shared: Shared, base: str) -> None:
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, BRANCH)
    replica.store.fetch_base(base)
    shared.path.rename(shared.path.with_name("gone.git"))

    with pytest.raises(RemoteProblem, match="cannot be reached") as caught:
        replica.store.fetch(commit, base=base)

    assert caught.value.fault is RemoteFault.UNREACHABLE


@pytest.mark.slow
def test_a_mirror_of_a_sha256_repository_has_its_kind_of_ids(tmp_path: Path) -> None:
    shared = Shared(tmp_path / "long", "sha256")
    base = shared.commit({"a.txt": "one\n"})
    shared.push(base, "refs/heads/main")
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, BRANCH)
    replica = open_replica(tmp_path / "state", shared.url)

    replica.store.fetch(commit, base=replica.mirror.branch_tip("main") or "")

    assert len(commit) == 64
    assert replica.store.read(commit, "b.txt", 10) == b"two\n"


def _bytes_below(folder: Path) -> int:
    return sum(place.lstat().st_size for place in folder.rglob("*") if place.is_file())


def _holds(repository: Path, oid: str) -> bool:
    asked = subprocess.run(["git", "cat-file", "-e", oid], cwd=repository, capture_output=True, check=False)
    return asked.returncode == 0
