"""The target on the remote: never an old answer for whoever decides by it, moved by compare-and-swap or not at all."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatewright.gates.remote.problems import RemoteFault, RemoteProblem
from gatewright.gates.remote.remote import Patience

from .conftest import Replica, Shared, is_root, open_replica, wait_file


@pytest.fixture
def landed(replica: Replica, shared: Shared, base: str) -> str:
    """A commit on the target's tip, in the store and ready to be the target."""
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, "refs/heads/gatewright/c1/code-1")
    replica.store.fetch(commit, base=base)
    return commit


def test_the_target_is_asked_for_each_time_that_somebody_decides_by_it(
    replica: Replica, shared: Shared, base: str
) -> None:
    assert replica.mirror.branch_tip("main") == base

    moved = shared.commit({"c.txt": "three\n"})
    shared.push(moved, "refs/heads/main")

    assert replica.mirror.branch_tip("main") == moved
    assert replica.mirror.is_shown(base, "main")


def test_a_target_that_was_moved_back_or_taken_away_is_seen(replica: Replica, shared: Shared, base: str) -> None:
    shared.push(shared.commit({"c.txt": "three\n"}), "refs/heads/main")
    replica.mirror.refresh("main")

    shared.push(base, "refs/heads/main")
    assert replica.mirror.branch_tip("main") == base

    shared.git("update-ref", "-d", "refs/heads/main", cwd=shared.path)
    assert replica.mirror.branch_tip("main") is None


@pytest.mark.slow
def test_tags_of_the_target_come_along(replica: Replica, shared: Shared, base: str) -> None:
    shared.push(base, "refs/tags/v1")
    moved = shared.commit({"c.txt": "three\n"})
    shared.push(moved, "refs/heads/main")

    replica.mirror.refresh("main")
    replica.store.fetch_base(moved)

    assert replica.store.git.text("for-each-ref", "--format=%(refname)", "refs/tags") == "refs/tags/v1"


def test_a_remote_that_is_down_gives_no_old_answer(replica: Replica, shared: Shared, base: str) -> None:
    replica.mirror.refresh("main")
    shared.path.rename(shared.path.with_name("gone.git"))

    with pytest.raises(RemoteProblem, match="cannot be reached"):
        replica.mirror.branch_tip("main")
    replica.mirror.refresh("main", is_binding=False)


@pytest.mark.slow
def test_a_remote_that_was_down_is_asked_again_after_a_pause(replica: Replica, shared: Shared, base: str) -> None:
    gone = shared.path.with_name("gone.git")
    shared.path.rename(gone)
    with pytest.raises(RemoteProblem):
        replica.mirror.branch_tip("main")
    gone.rename(shared.path)

    with pytest.raises(RemoteProblem):
        replica.mirror.branch_tip("main")
    replica.ticks.now_s += 1.5

    assert replica.mirror.branch_tip("main") == base


def test_a_server_that_never_saw_its_remote_says_so_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    with pytest.raises(RemoteProblem, match="cannot be reached"):
        open_replica(tmp_path / "state", f"file://{tmp_path / 'nowhere.git'}")

    assert [place.name for place in (tmp_path / "state").iterdir()] == ["mirror.lock"]


def test_a_mirror_that_was_lost_is_made_again(replica: Replica, shared: Shared, base: str, tmp_path: Path) -> None:
    replica.mirror.refresh("main")
    shutil.rmtree(replica.mirror.common_dir)
    (replica.mirror.common_dir / "objects").mkdir(parents=True)

    again = open_replica(tmp_path / "state", shared.url)

    assert again.mirror.branch_tip("main") == base


def test_the_pause_grows_to_half_a_minute_and_no_further(replica: Replica, shared: Shared) -> None:
    shared.path.rename(shared.path.with_name("gone.git"))
    pauses = []
    for _ in range(8):
        with pytest.raises(RemoteProblem):
            replica.remote.tips("refs/heads/main")
        found = next(iter(replica.remote._pauses._pauses.values()))
        pauses.append(found.length_s)
        replica.ticks.now_s = found.until_s

    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_the_target_moves_from_where_it_was_judged(replica: Replica, shared: Shared, base: str, landed: str) -> None:
    assert replica.mirror.move_target("main", base, landed, message="land")

    assert shared.tip() == landed
    assert replica.mirror.branch_tip("main") == landed
    assert replica.mirror.move_target("main", base, landed, message="land"), "asked again after a crash, it has moved"


def test_a_target_that_somebody_else_moved_stays_there(
    replica: Replica, shared: Shared, base: str, landed: str
) -> None:
    shared.git("checkout", "-q", base)
    other = shared.commit({"other.txt": "other\n"})
    shared.push(other, "refs/heads/main")

    assert not replica.mirror.move_target("main", base, landed, message="land")

    assert shared.tip() == other


def test_a_race_that_is_lost_on_the_remote_itself_is_lost(
    replica: Replica, shared: Shared, base: str, landed: str
) -> None:
    """Between what the push was told and what it does: git's own lock on the ref decides."""
    shared.git("checkout", "-q", base)
    other = shared.commit({"other.txt": "other\n"})
    shared.push(other, "refs/heads/other")
    shared.hook(f"unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main {other}")

    assert not replica.mirror.move_target("main", base, landed, message="land")

    assert shared.tip() == other


@pytest.mark.slow
def test_a_branch_that_is_gone_is_not_made_again(replica: Replica, shared: Shared, base: str, landed: str) -> None:
    shared.git("update-ref", "-d", "refs/heads/main", cwd=shared.path)

    assert not replica.mirror.move_target("main", base, landed, message="land")

    assert "refs/heads/main" not in shared.refs()


def test_a_hook_that_says_no_is_quoted_and_nothing_has_moved(
    replica: Replica, shared: Shared, base: str, landed: str
) -> None:
    shared.hook("echo 'main is \033[31mfrozen\033[0m until Monday'; exit 1")

    with pytest.raises(RemoteProblem, match="frozen until Monday") as caught:
        replica.mirror.move_target("main", base, landed, message="land")

    assert caught.value.fault is RemoteFault.DECLINED
    assert caught.value.message.isprintable()
    assert shared.tip() == base


@pytest.mark.slow
def test_what_was_declined_is_not_pushed_again_at_once(
    replica: Replica, shared: Shared, base: str, landed: str, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    shared.hook(f"echo once >> {calls}; exit 1")
    for _ in range(3):
        with pytest.raises(RemoteProblem):
            replica.mirror.move_target("main", base, landed, message="land")
    assert calls.read_text().splitlines() == ["once"]

    shared.hook(None)
    replica.ticks.now_s += 1.5

    assert replica.mirror.move_target("main", base, landed, message="land")


@pytest.mark.slow
def test_a_slow_remote_is_left_in_bounded_time_and_its_ref_tells_what_became_of_it(
    replica: Replica, shared: Shared, base: str, landed: str, tmp_path: Path
) -> None:
    """The push may go on over there: it either moves the target by itself, or is done again."""
    go_on = tmp_path / "go-on"
    shared.hook(wait_file(go_on))

    with pytest.raises(RemoteProblem, match="no answer within 1 s") as caught:
        replica.mirror.move_target("main", base, landed, message="land")

    assert caught.value.fault is RemoteFault.UNREACHABLE
    assert shared.tip() == base
    go_on.touch()
    replica.ticks.now_s += 1.5
    assert replica.mirror.move_target("main", base, landed, message="land")
    assert shared.tip() == landed


@pytest.mark.slow
def test_two_servers_that_land_at_once_do_it_once(
    replica: Replica, shared: Shared, base: str, landed: str, tmp_path: Path
) -> None:
    other = open_replica(tmp_path / "other", shared.url)
    shared.git("checkout", "-q", base)
    theirs = shared.commit({"theirs.txt": "theirs\n"})
    shared.push(theirs, "refs/heads/gatewright/c2/code-1")
    other.store.fetch(theirs, base=base)
    results: dict[str, bool] = {}

    def land(which: Replica, commit: str) -> None:
        results[commit] = which.mirror.move_target("main", base, commit, message="land")

    threads = [threading.Thread(target=land, args=given) for given in ((replica, landed), (other, theirs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results.values()) == [False, True]
    assert results[shared.tip()]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system that can be filled; where there may be none, the test is done by a hook elsewhere."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if not is_root() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
def test_a_remote_whose_disk_is_full_says_so_and_takes_it_later(full_disk: Path, tmp_path: Path) -> None:
    shared = Shared(full_disk)
    base = shared.commit({"a.txt": "one\n"})
    shared.push(base, "refs/heads/main")
    replica = open_replica(tmp_path / "state", shared.url)
    commit = shared.commit({"b.txt": "two\n"})
    shared.push(commit, "refs/heads/gatewright/c1/code-1")
    replica.store.fetch(commit, base=base)
    filler = full_disk / "filler"
    fill = subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1k"], capture_output=True, text=True, check=False)
    assert "No space left" in fill.stderr

    with pytest.raises(RemoteProblem):
        replica.mirror.move_target("main", base, commit, message="land")

    filler.unlink()
    assert shared.tip() == base
    replica.ticks.now_s += 1.5
    assert replica.mirror.move_target("main", base, commit, message="land")


def test_who_waits_for_the_same_answer_asks_once(replica: Replica, shared: Shared, base: str) -> None:
    looks: list[str] = []
    look = replica.remote.tips
    entered, go_on = threading.Event(), threading.Event()

    def slow(*patterns: str, home: Path | None = None, within_s: float | None = None) -> object:
        looks.append(patterns[0])
        entered.set()
        go_on.wait(10)
        return look(*patterns, home=home, within_s=within_s)

    replica.remote.tips = slow  # type: ignore[method-assign, assignment]  # a seam
    threads = [threading.Thread(target=replica.mirror.refresh, args=("main",)) for _ in range(6)]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()

    assert 2 <= len(looks) < 6, "who came while it was asked is told by the next answer"


def test_who_only_tells_neither_waits_for_a_remote_nor_asks_it_all_the_time(
    replica: Replica, shared: Shared, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica.mirror.refresh("main")
    moved = shared.commit({"c.txt": "three\n"})
    shared.push(moved, "refs/heads/main")

    replica.mirror.refresh("main", is_binding=False)
    assert replica.mirror.resolve("refs/heads/main") == base

    monkeypatch.setattr("gatewright.gates.remote.mirror.FRESH_S", 0.0)
    replica.mirror.refresh("main", is_binding=False)
    assert replica.mirror.resolve("refs/heads/main") == moved


def test_a_quick_look_that_was_too_quick_keeps_nobody_else_waiting(
    replica: Replica, shared: Shared, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatewright.gates.remote.mirror.QUICK_S", 0.0001)

    replica.mirror.refresh("main", is_binding=False)

    assert replica.mirror.branch_tip("main") == base


def test_patience_has_a_bound_for_each_kind_of_exchange() -> None:
    assert Patience() == Patience(look_s=20.0, fetch_s=300.0, push_s=120.0)
