"""A checkout has the committed bytes and nothing else, warm or cold; a private copy answers git as a clone does."""

import hashlib
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.checkout import CheckoutBusy, CheckoutFailed, CheckoutPool

HOSTILE_ATTRIBUTES = """\
*.crlf text eol=crlf
*.ident ident
*.filter filter=evil
*.utf16 text working-tree-encoding=UTF-16
*.hidden export-ignore
*.subst export-subst
* -diff merge=evil
"""
FILES = {
    ".gitattributes": HOSTILE_ATTRIBUTES.encode(),
    "sub/.gitattributes": b"* text=auto eol=crlf\n[attr]evil filter=evil\n",
    "a.crlf": b"one\ntwo\r\nthree\n",
    "a.ident": b"$Id$ $Id: forged $\n",
    "a.filter": b"unfiltered\n",
    "a.utf16": "ümlaut\n".encode(),
    "a.hidden": b"here\n",
    "a.subst": b"$Format:%H$\n",
    "sub/b.txt": b"mixed\r\nends\n",
    "empty": b"",
    "binary": bytes(range(256)),
    "ümlaut dir/new\nline 日本.txt": b"strange\n",
    "-option": b"x",
    ".gitignore": b"*\n",
    ".gitmodules": b"",
}

HOLD_A_CHECKOUT = """
import sys
from pathlib import Path
from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.checkout import CheckoutPool
pool = CheckoutPool(Path(sys.argv[1]), ArtifactStore(Path(sys.argv[2]), Path(sys.argv[3])), slots_max=1)
with pool.pristine(sys.argv[4]):
    print("held", flush=True)
    sys.stdin.read()
"""


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


def commit_all(project: Path, message: str = "work") -> str:
    git(project, "add", "-A", "-f")
    git(project, "commit", "-q", "--allow-empty", "-m", message)
    return git(project, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository whose files are stored byte for byte under attributes that would change them on the way out."""
    project = tmp_path / "project"
    project.mkdir()
    git(project, "init", "-q")
    (project / ".git" / "info").mkdir(exist_ok=True)
    (project / ".git" / "info" / "attributes").write_text("* -text -ident -filter -working-tree-encoding\n")
    for name, content in FILES.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_bytes(content)
    (project / "link").symlink_to("sub/b.txt")
    (project / "run.sh").write_bytes(b"#!/bin/sh\n")
    (project / "run.sh").chmod(0o755)
    commit_all(project)
    return project


@pytest.fixture
def first(project: Path) -> str:
    return git(project, "rev-parse", "HEAD")


@pytest.fixture
def second(project: Path, first: str) -> str:
    """Another commit on the first: a file changed, one gone, one new, a folder for a file and a file for a folder."""
    (project / "a.crlf").write_bytes(b"changed\n")
    (project / "empty").unlink()
    (project / "binary").unlink()
    (project / "binary").mkdir()
    (project / "binary" / "part").write_bytes(b"\0")
    (project / "sub" / "b.txt").unlink()
    (project / "sub" / ".gitattributes").unlink()
    (project / "sub").rmdir()
    (project / "sub").write_bytes(b"a file now")
    (project / "link").unlink()
    (project / "link").write_bytes(b"no link")
    (project / "run.sh").chmod(0o644)
    return commit_all(project)


@pytest.fixture
def store(tmp_path: Path, project: Path, first: str) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "state" / "store", project / ".git")
    store.ensure()
    store.fetch_base(first)
    return store


@pytest.fixture
def pool(tmp_path: Path, store: ArtifactStore) -> CheckoutPool:
    return CheckoutPool(tmp_path / "state" / "checkouts", store, slots_max=2)


def on_disk(tree: Path) -> dict[str, tuple[str, str]]:
    """Mode and git's own id of the bytes of everything below `tree` but its `.git`; folders only when empty."""
    found = {}
    for folder, folders, files in os.walk(tree):
        if Path(folder) == tree and ".git" in folders:
            folders.remove(".git")
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        if not folders and not files:
            found[str(Path(folder).relative_to(tree))] = ("folder", "")
        for name in [*files, *links]:
            path = Path(folder) / name
            if path.is_symlink():
                mode, content = "120000", os.fsencode(path.readlink())
            else:
                mode = "100755" if path.stat().st_mode & stat.S_IXUSR else "100644"
                content = path.read_bytes()
            oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            found[str(path.relative_to(tree))] = (mode, oid)
    return found


def committed(store: ArtifactStore, commit: str) -> dict[str, tuple[str, str]]:
    return {
        entry.path: ("folder", "") if entry.mode == "160000" else (entry.mode, entry.oid)
        for entry in store.entries(commit)
    }


# Pristine trees


def test_a_cold_checkout_has_the_committed_bytes_whatever_the_attributes_say(
    pool: CheckoutPool, store: ArtifactStore, first: str
) -> None:
    with pool.pristine(first) as tree:
        assert on_disk(tree) == committed(store, first)
        assert (tree / "a.crlf").read_bytes() == FILES["a.crlf"]
        assert (tree / "a.ident").read_bytes() == FILES["a.ident"]
        assert not (tree / ".git").exists()


def test_a_warm_checkout_has_exactly_the_other_commits_bytes_forth_and_back(
    tmp_path: Path, pool: CheckoutPool, store: ArtifactStore, first: str, second: str
) -> None:
    store.fetch(second, base=first)

    for commit in (first, second, first, first, second):
        with pool.pristine(commit) as tree:
            assert on_disk(tree) == committed(store, commit)

    assert [path.name for path in (tmp_path / "state" / "checkouts").iterdir()] == ["0"]


def test_only_what_differs_is_written(pool: CheckoutPool, store: ArtifactStore, first: str, second: str) -> None:
    store.fetch(second, base=first)
    with pool.pristine(first) as tree:
        before = {name: (tree / name).stat().st_ctime_ns for name in ("a.filter", "a.crlf")}

    with pool.pristine(second) as tree:
        after = {name: (tree / name).stat().st_ctime_ns for name in ("a.filter", "a.crlf")}

    assert before["a.filter"] == after["a.filter"]
    assert before["a.crlf"] != after["a.crlf"]


@pytest.mark.parametrize("next_commit", ["first", "second"])
def test_whatever_somebody_did_to_a_warm_tree_is_undone(
    pool: CheckoutPool, store: ArtifactStore, first: str, second: str, next_commit: str
) -> None:
    store.fetch(second, base=first)
    commit = {"first": first, "second": second}[next_commit]
    with pool.pristine(first) as tree:
        (tree / "a.filter").write_bytes(b"UNfiltered\n")
        (tree / "run.sh").chmod(0o644)
        (tree / "a.hidden").unlink()
        (tree / "a.hidden").mkdir()
        (tree / "a.hidden" / "inside").write_bytes(b"x")
        (tree / "untracked" / "deep").mkdir(parents=True)
        (tree / "untracked" / "deep" / "ignored.pyc").write_bytes(b"x")
        (tree / "vacant").mkdir()
        git(tree / "untracked", "init", "-q", "nested")
        (tree / "link").unlink()
        (tree / "link").symlink_to(tree.parent)
        (tree / "a.subst").unlink()

    with pool.pristine(commit) as tree:
        assert on_disk(tree) == committed(store, commit)


def test_a_folder_replaced_by_a_link_does_not_let_the_checkout_write_elsewhere(
    tmp_path: Path, pool: CheckoutPool, store: ArtifactStore, first: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.txt").write_text("mine")
    with pool.pristine(first) as tree:
        (tree / "sub" / "b.txt").unlink()
        (tree / "sub" / ".gitattributes").unlink()
        (tree / "sub").rmdir()
        (tree / "sub").symlink_to(outside)

    with pool.pristine(first) as tree:
        assert on_disk(tree) == committed(store, first)

    assert [path.name for path in outside.iterdir()] == ["b.txt"]
    assert (outside / "b.txt").read_text() == "mine"


def test_a_submodule_is_an_empty_folder(pool: CheckoutPool, store: ArtifactStore, project: Path, first: str) -> None:
    git(project, "update-index", "--add", "--cacheinfo", f"160000,{first},vendor/sub")
    git(project, "commit", "-qm", "with a submodule")
    commit = git(project, "rev-parse", "HEAD")
    store.fetch(commit, base=first)

    for _ in range(2):
        with pool.pristine(commit) as tree:
            assert on_disk(tree) == committed(store, commit)
            assert list((tree / "vendor" / "sub").iterdir()) == []


@pytest.mark.parametrize("spoil", ["index", "lock", "marker", "tree", "link", "garbage marker"])
def test_a_checkout_that_a_crash_left_half_made_is_made_again(
    tmp_path: Path, pool: CheckoutPool, store: ArtifactStore, first: str, spoil: str
) -> None:
    with pool.pristine(first) as tree:
        slot = tree.parent
    match spoil:
        case "index":
            (slot / "index").write_bytes(b"DIRC garbage")
        case "lock":
            (slot / "commit").unlink()
            (slot / "index.lock").write_bytes(b"")
            (tree / "a.crlf").write_bytes(b"half")
        case "marker":
            (slot / "commit").unlink()
            (tree / "leftover").write_bytes(b"x")
        case "tree":
            tree.rename(tmp_path / "gone")
        case "link":
            tree.rename(tmp_path / "elsewhere")
            tree.symlink_to(tmp_path / "elsewhere")
        case _:
            (slot / "commit").write_bytes(b"\xff")

    with pool.pristine(first) as tree:
        assert on_disk(tree) == committed(store, first)
        assert not tree.is_symlink()


def test_a_checkout_in_use_is_not_touched_by_another_one(
    pool: CheckoutPool, store: ArtifactStore, first: str, second: str
) -> None:
    store.fetch(second, base=first)

    with pool.pristine(first) as one, pool.pristine(second) as other:
        assert one != other
        assert on_disk(one) == committed(store, first)
        assert on_disk(other) == committed(store, second)
        with pytest.raises(CheckoutBusy, match="All 2 checkouts were in use"), pool.pristine(first, timeout_s=0.05):
            pass
    with pool.pristine(second) as again:
        assert again == other


def test_a_process_that_dies_gives_its_checkout_back(tmp_path: Path, store: ArtifactStore, first: str) -> None:
    root = tmp_path / "shared pool"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_CHECKOUT, str(root), str(store.path), str(store.shared), first],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    pool = CheckoutPool(root, store, slots_max=1)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(CheckoutBusy), pool.pristine(first, timeout_s=0.05):
            pass
        holder.send_signal(signal.SIGKILL)

    with pool.pristine(first, timeout_s=5) as tree:
        assert on_disk(tree) == committed(store, first)


def test_a_git_that_outlives_its_killed_caller_keeps_the_checkout_until_it_ends(
    tmp_path: Path, store: ArtifactStore, first: str
) -> None:
    """It would go on writing files into a tree that somebody else has been given."""
    started, go_on = tmp_path / "started", tmp_path / "go on"
    os.mkfifo(started)
    os.mkfifo(go_on)
    slow_git = tmp_path / "slow git"
    slow_git.write_text(
        f"#!/bin/sh\ncase \"$*\" in *read-tree*) echo > '{started}'; read line < '{go_on}';; esac\nexec git \"$@\"\n"
    )
    slow_git.chmod(0o755)
    code = HOLD_A_CHECKOUT.replace(
        "pool =", f"from gatewright.gates import git; git.PROGRAM = {str(slow_git)!r}\npool ="
    )
    root = tmp_path / "shared pool"
    pool = CheckoutPool(root, store, slots_max=1)

    with subprocess.Popen([sys.executable, "-c", code, str(root), str(store.path), str(store.shared), first]) as caller:
        started.read_bytes()
        caller.send_signal(signal.SIGKILL)
    with pytest.raises(CheckoutBusy), pool.pristine(first, timeout_s=0.05):
        pass
    go_on.write_bytes(b"\n")

    with pool.pristine(first, timeout_s=10) as tree:
        assert on_disk(tree) == committed(store, first)


def test_a_commit_that_is_not_in_the_store_fails_and_leaves_the_pool_usable(
    tmp_path: Path, pool: CheckoutPool, store: ArtifactStore, first: str
) -> None:
    with pytest.raises(CheckoutFailed, match="could not be written out"), pool.pristine("a" * 40):
        pass
    with pytest.raises(CheckoutFailed):
        pool.private("a" * 40, tmp_path / "copy")

    assert not (tmp_path / "copy").exists()
    with pool.pristine(first) as tree:
        assert on_disk(tree) == committed(store, first)


# Private copies


def test_a_private_copy_answers_git_as_a_clone_does(
    pool: CheckoutPool, store: ArtifactStore, project: Path, first: str, second: str
) -> None:
    git(project, "tag", "-a", "v1.2", "-m", "release", first)
    git(project, "tag", "later", second)
    store.fetch_base(second)
    commit = store.commit_files(
        first, {"more": "text"}, message="m", author="ada", when=datetime(2026, 3, 1, tzinfo=UTC)
    )

    copy = pool.private(commit, project.parent / "runs" / "1")

    assert on_disk(copy) == committed(store, commit)
    assert git(copy, "status", "--porcelain", "--ignored") == ""
    assert git(copy, "describe", "--tags", "--long", "--dirty") == f"v1.2-1-g{commit[:7]}"
    assert git(copy, "rev-parse", "HEAD") == commit
    assert git(copy, "tag") == "v1.2"
    assert git(copy, "ls-files", "-z").split("\0")[:-1] == [entry.path for entry in store.entries(commit)]
    assert git(copy, "log", "--format=%s") == "m\nwork"
    assert git(copy, "rev-parse", "--show-toplevel") == str(copy)
    assert subprocess.run(["git", "symbolic-ref", "-q", "HEAD"], cwd=copy, check=False).returncode == 1


def test_a_private_copy_sees_what_a_gate_changed_in_it(tmp_path: Path, pool: CheckoutPool, first: str) -> None:
    copy = pool.private(first, tmp_path / "copy")

    (copy / "a.filter").write_bytes(b"UNfiltered\n")
    (copy / "run.sh").chmod(0o644)

    assert git(copy, "status", "--porcelain", "-uno").split("\n") == [" M a.filter", " M run.sh"]


def test_what_is_done_in_a_private_copy_stays_there(
    tmp_path: Path, pool: CheckoutPool, store: ArtifactStore, project: Path, first: str
) -> None:
    before = store.git.text("for-each-ref"), git(project, "for-each-ref"), store.git.text("count-objects", "-v")
    copy = pool.private(first, tmp_path / "copy")
    for entry in store.entries(first):
        if entry.mode.startswith("100"):
            (copy / entry.path).write_bytes(b"overwritten in place")
    commit_all(copy, "inside")
    git(copy, "tag", "inside")
    git(copy, "gc", "-q", "--prune=now")

    assert (
        store.git.text("for-each-ref"),
        git(project, "for-each-ref"),
        store.git.text("count-objects", "-v"),
    ) == before
    with pool.pristine(first) as tree:
        assert on_disk(tree) == committed(store, first)


def test_a_private_copy_never_replaces_what_is_there(tmp_path: Path, pool: CheckoutPool, first: str) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").write_text("mine")

    with pytest.raises(FileExistsError):
        pool.private(first, tmp_path / "copy")

    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["mine"]


def test_many_copies_at_once_are_all_whole(
    tmp_path: Path, pool: CheckoutPool, store: ArtifactStore, first: str, second: str
) -> None:
    store.fetch(second, base=first)
    commits = [first, second] * 4

    with ThreadPoolExecutor(8) as threads:
        copies = list(
            threads.map(lambda job: pool.private(job[1], tmp_path / "runs" / str(job[0])), enumerate(commits))
        )

    for commit, copy in zip(commits, copies, strict=True):
        assert on_disk(copy) == committed(store, commit)
        assert git(copy, "status", "--porcelain") == ""
