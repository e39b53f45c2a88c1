"""The store takes whole, sound commits by full id and nothing else, whatever the shared repository says about them."""

import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewright.gates import artifacts
from gatewright.gates.artifacts import ArtifactStore, BadArtifact, FetchBudget, TooLarge, TreeBudget
from gatewright.gates.locks import LockTimeout, locked

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMALL = TreeBudget(entries_max=1_000, bytes_max=100_000, depth_max=20, path_bytes_max=200, commits_max=5)


class Project:
    """A user's repository, made and attacked with plain git."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.common_dir = path / ".git"
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(["git", *arguments], cwd=self.path, input=stdin, capture_output=True, check=True)
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, files: dict[str, str | None], message: str = "work") -> str:
        for name, text in files.items():
            place = self.path / name
            if text is None:
                place.unlink()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def object(self, kind: str, content: bytes) -> str:
        return self.git("hash-object", "-t", kind, "-w", "--literally", "--stdin", stdin=content)

    def tree(self, *items: tuple[str, bytes, str]) -> str:
        """A tree object of (mode, name, id), exactly as given."""
        return self.object("tree", b"".join(m.encode() + b" " + n + b"\0" + bytes.fromhex(o) for m, n, o in items))

    def commit_of(self, tree: str, *parents: str) -> str:
        return self.git("commit-tree", tree, "-m", "made", *(part for parent in parents for part in ("-p", parent)))

    def loose(self, oid: str) -> Path:
        return self.common_dir / "objects" / oid[:2] / oid[2:]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def store(tmp_path: Path, project: Project) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "state" / "store", project.common_dir)
    store.ensure()
    return store


@pytest.fixture
def base(project: Project) -> str:
    project.commit({"a.txt": "one\n", "lib/tool.sh": "run\n"})
    (project.path / "lib/tool.sh").chmod(0o755)
    return project.commit({})


def paths_of(store: ArtifactStore, commit: str) -> list[str]:
    return [entry.path for entry in store.entries(commit)]


# What is let in


def test_an_artifact_comes_in_with_its_exact_bytes(store: ArtifactStore, project: Project, base: str) -> None:
    artifact = project.commit({"b.txt": "two\n"})

    store.fetch(artifact, base=base)

    assert store.read(artifact, "b.txt", 100) == b"two\n"
    assert paths_of(store, artifact) == ["a.txt", "b.txt", "lib/tool.sh"]
    assert store.parents_of(artifact) == (base,)
    assert store.tree_of(artifact) == project.git("rev-parse", f"{artifact}^{{tree}}")


def test_a_commit_of_a_linked_worktree_comes_in(store: ArtifactStore, project: Project, base: str) -> None:
    project.git("worktree", "add", "-q", "--detach", "../linked", base)
    linked = project.path.parent / "linked"
    (linked / "new.txt").write_text("new")
    for arguments in (["add", "-A"], ["commit", "-qm", "there"]):
        subprocess.run(["git", *arguments], cwd=linked, check=True)
    artifact = subprocess.run(["git", "rev-parse", "HEAD"], cwd=linked, check=True, capture_output=True, text=True)

    store.fetch(artifact.stdout.strip(), base=base)

    assert store.read(artifact.stdout.strip(), "new.txt", 10) == b"new"


def test_a_sha256_repository_has_a_sha256_store(tmp_path: Path) -> None:
    project = Project.__new__(Project)
    project.path, project.common_dir = tmp_path / "p", tmp_path / "p" / ".git"
    project.path.mkdir()
    project.git("init", "-q", "--object-format=sha256")
    base = project.commit({"a": "1"})
    artifact = project.commit({"a": "2"})
    store = ArtifactStore(tmp_path / "store", project.common_dir)
    store.ensure()

    store.fetch(artifact, base=base)

    assert len(artifact) == 64
    assert store.read(artifact, "a", 10) == b"2"
    written = store.commit_files(base, {"a": None, "b": "3"}, message="m", author="ada", when=WHEN)
    assert paths_of(store, written) == ["b"]


def test_only_the_tags_that_reach_the_base_come_along(store: ArtifactStore, project: Project, base: str) -> None:
    project.git("tag", "v1", base)
    project.git("tag", "-a", "v1.1", "-m", "annotated", base)
    project.commit({"a.txt": "later"})
    project.git("tag", "v2")

    store.fetch_base(base)

    assert store.git.text("for-each-ref", "--format=%(refname)", "refs/tags").split() == [
        "refs/tags/v1",
        "refs/tags/v1.1",
    ]


def test_an_artifact_that_became_a_base_brings_the_tags_made_since(
    store: ArtifactStore, project: Project, base: str
) -> None:
    artifact = project.commit({"b": "2"})
    store.fetch(artifact, base=base)
    project.git("tag", "v3", artifact)

    store.fetch_base(artifact)

    assert "refs/tags/v3" in store.git.text("for-each-ref", "refs/tags")


def test_old_history_may_be_malformed_but_nothing_new_may(store: ArtifactStore, project: Project) -> None:
    """Regression: fsck of a whole history fails on one old author line."""
    blob = project.object("blob", b"x")
    tree = project.tree(("100644", b"x", blob))
    author = b"author Ada ada@example.org 1 +0000\ncommitter Ada ada@example.org 1 +0000\n\nm\n"
    old = project.object("commit", f"tree {tree}\n".encode() + author)
    artifact = project.object("commit", f"tree {tree}\nparent {old}\n".encode() + author)
    sound = project.commit_of(project.tree(("100644", b"y", blob)), old)

    store.fetch(sound, base=old)

    with pytest.raises(BadArtifact, match="cannot be taken over"):
        store.fetch(artifact, base=old)


def test_a_commit_of_the_servers_own_can_be_artifact_and_base(
    store: ArtifactStore, project: Project, base: str
) -> None:
    store.fetch_base(base)
    ours = store.commit_files(base, {"new": "text"}, message="m", author="ada", when=WHEN)

    store.fetch(ours, base=base)
    store.fetch_base(ours)

    assert store.is_ancestor(base, ours)


def test_grafts_and_replace_refs_cannot_keep_an_honest_artifact_out(
    store: ArtifactStore, project: Project, base: str
) -> None:
    artifact = project.commit({"fine": "fine"})
    project.git("replace", artifact, project.commit_of(project.tree()))
    project.git("replace", base, project.commit_of(project.tree(), artifact))
    (project.common_dir / "info").mkdir(exist_ok=True)
    (project.common_dir / "info" / "grafts").write_text(f"{base}\n")

    store.fetch(artifact, base=base)

    assert store.read(artifact, "fine", 10) == b"fine"


# What is kept out


@pytest.mark.parametrize(
    "text",
    [
        "HEAD",
        "main",
        "",
        "a" * 39,
        "a" * 41,
        "A" * 40,
        "--upload-pack=touch x",
        "-x",
        "a" * 40 + "\n",
        "refs/heads/main",
    ],
)
def test_anything_but_a_full_lower_case_id_is_refused_before_git_is_asked(tmp_path: Path, text: str) -> None:
    store = ArtifactStore(tmp_path / "no store", tmp_path / "no repository")
    actions: list[Callable[[], object]] = [
        lambda: store.fetch(text, base="a" * 40),
        lambda: store.fetch("a" * 40, base=text),
        lambda: store.fetch_base(text),
        lambda: store.tree_of(text),
        lambda: store.is_ancestor(text, text),
        lambda: store.keep(text, "name"),
        lambda: store.merge(text, text, message="m", when=WHEN),
        lambda: store.publish(text, "refs/gatewright/x"),
        lambda: store.diff(text, text),
    ]

    for action in actions:
        with pytest.raises(BadArtifact, match="not a full commit id"):
            action()


def test_an_id_that_is_no_commit_is_refused_with_what_it_is(store: ArtifactStore, project: Project, base: str) -> None:
    project.git("tag", "-a", "v1", "-m", "x", base)
    cases = {
        project.git("rev-parse", "v1"): "is a tag, not a commit",
        project.git("rev-parse", f"{base}^{{tree}}"): "is a tree, not a commit",
        project.git("rev-parse", f"{base}:a.txt"): "is a blob, not a commit",
        "f" * 40: "There is no commit",
    }

    for oid, sentence in cases.items():
        with pytest.raises(BadArtifact, match=sentence):
            store.fetch(oid, base=base)


def test_a_commit_that_does_not_descend_from_the_base_is_refused(
    store: ArtifactStore, project: Project, base: str
) -> None:
    newer = project.commit({"a.txt": "newer"})
    stranger = project.commit_of(project.tree())

    for commit in (stranger, project.git("rev-parse", f"{base}~1")):
        with pytest.raises(BadArtifact, match="does not descend"):
            store.fetch(commit, base=newer)


def test_grafts_and_replace_refs_cannot_fake_descent_or_content(
    store: ArtifactStore, project: Project, base: str
) -> None:
    evil = project.commit_of(project.tree(("100644", b"evil", project.object("blob", b"evil"))))
    descendant = project.commit({"fine": "fine"})
    (project.common_dir / "info").mkdir(exist_ok=True)
    (project.common_dir / "info" / "grafts").write_text(f"{evil} {base}\n")
    project.git("replace", base, evil)
    project.git("replace", "-f", evil, descendant)
    assert (
        subprocess.run(["git", "merge-base", "--is-ancestor", base, evil], cwd=project.path, check=False).returncode
        == 0
    )

    store.fetch_base(base)

    assert paths_of(store, base) == ["a.txt", "lib/tool.sh"]
    with pytest.raises(BadArtifact, match="does not descend"):
        store.fetch(evil, base=base)


def test_an_overwritten_loose_object_is_refused(store: ArtifactStore, project: Project, base: str) -> None:
    """git itself would serve these bytes from a checkout in the shared repository."""
    artifact = project.commit({"b.txt": "honest"})
    loose = project.loose(project.git("rev-parse", f"{artifact}:b.txt"))
    loose.chmod(0o644)
    loose.write_bytes(zlib.compress(b"blob 4\0evil"))

    with pytest.raises(BadArtifact, match=r"cannot be (taken over|read)"):
        store.fetch(artifact, base=base)


def test_objects_of_an_alternate_are_checked_like_all_others(
    tmp_path: Path, store: ArtifactStore, project: Project, base: str
) -> None:
    other = Project(tmp_path / "other")
    (other.common_dir / "objects" / "info").mkdir(exist_ok=True)
    (other.common_dir / "objects" / "info" / "alternates").write_text(f"{project.common_dir / 'objects'}\n")
    artifact = other.commit_of(other.tree(("100644", b"b", other.object("blob", b"b"))), base)
    (project.common_dir / "objects" / "info" / "alternates").write_text(f"{other.common_dir / 'objects'}\n")

    store.fetch(artifact, base=base)
    (project.common_dir / "objects" / "info" / "alternates").unlink()

    assert store.read(artifact, "b", 10) == b"b"


def test_a_commit_whose_objects_are_missing_stays_refused_until_they_are_there(
    store: ArtifactStore, project: Project, base: str
) -> None:
    """A commit object that came in without its tree must not count as present the next time."""
    artifact = project.commit({"b.txt": "late"})
    blob = project.loose(project.git("rev-parse", f"{artifact}:b.txt"))
    hidden = blob.rename(blob.with_suffix(".hidden"))

    for _ in range(2):
        with pytest.raises(BadArtifact, match="cannot be"):
            store.fetch(artifact, base=base)
    hidden.rename(blob)
    store.fetch(artifact, base=base)

    assert store.read(artifact, "b.txt", 10) == b"late"


def test_a_shallow_repository_is_refused_with_the_remedy(tmp_path: Path, project: Project, base: str) -> None:
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{project.path}", tmp_path / "shallow"], check=True)
    store = ArtifactStore(tmp_path / "s", tmp_path / "shallow" / ".git")
    store.ensure()

    with pytest.raises(BadArtifact, match="git fetch --unshallow"):
        store.fetch_base(base)


def test_a_partial_clone_is_refused_with_the_remedy_and_is_not_made_to_fetch(
    tmp_path: Path, project: Project, base: str
) -> None:
    project.git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "partial"
    subprocess.run(
        ["git", "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{project.path}", clone], check=True
    )
    store = ArtifactStore(tmp_path / "s", clone / ".git")
    store.ensure()

    with pytest.raises(BadArtifact, match="git fetch --refetch --no-filter"):
        store.fetch_base(base)
    subprocess.run(["git", "fetch", "-q", "--refetch", "--no-filter"], cwd=clone, check=True)
    store.fetch_base(base)

    assert store.read(base, "a.txt", 10) == b"one\n"


@pytest.mark.parametrize(
    ("mode", "name"),
    [("40000", b".git"), ("40000", b".GIT"), ("40000", b"git~1"), ("40000", ".g\u200cit".encode()), ("100644", b"..")],
)
def test_a_tree_with_a_git_folder_in_it_is_refused(
    store: ArtifactStore, project: Project, base: str, mode: str, name: bytes
) -> None:
    inner = project.tree(("100644", b"config", project.object("blob", b"[core]")))
    oid = inner if mode == "40000" else project.object("blob", b"x")
    artifact = project.commit_of(project.tree((mode, name, oid)), base)

    with pytest.raises(BadArtifact, match="cannot be taken over"):
        store.fetch(artifact, base=base)


def test_a_tree_with_two_entries_of_one_name_is_refused(store: ArtifactStore, project: Project, base: str) -> None:
    good, evil = project.object("blob", b"good"), project.object("blob", b"evil")
    artifact = project.commit_of(project.tree(("100644", b"f", good), ("100644", b"f", evil)), base)

    with pytest.raises(BadArtifact, match="cannot be taken over"):
        store.fetch(artifact, base=base)


def test_a_name_that_is_not_utf_8_is_refused(store: ArtifactStore, project: Project, base: str) -> None:
    artifact = project.commit_of(project.tree(("100644", b"caf\xe9", project.object("blob", b"x"))), base)

    with pytest.raises(BadArtifact, match="not UTF-8"):
        store.fetch(artifact, base=base)


# Bombs


def bomb(project: Project, levels: int, width: int = 10) -> str:
    """A tree of width**levels files, made of `levels` small objects."""
    oid, mode = project.object("blob", b"boom"), "100644"
    for _ in range(levels):
        oid, mode = project.tree(*((mode, f"d{number}".encode(), oid) for number in range(width))), "40000"
    return oid


def test_a_bomb_of_ten_thousand_million_files_is_refused_at_once(
    store: ArtifactStore, project: Project, base: str
) -> None:
    artifact = project.commit_of(bomb(project, levels=10), base)
    started = time.monotonic()

    with pytest.raises(TooLarge, match="more than 1000 entries"):
        store.fetch(artifact, base=base, tree_budget=SMALL)

    assert time.monotonic() - started < 20
    with pytest.raises(TooLarge):
        store.entries(artifact, SMALL)
    with pytest.raises(TooLarge):
        store.changes(base, artifact, SMALL)


def test_a_bomb_of_empty_folders_is_refused(store: ArtifactStore, project: Project, base: str) -> None:
    oid = project.tree()
    for _ in range(10):
        oid = project.tree(*(("40000", f"d{number}".encode(), oid) for number in range(10)))

    with pytest.raises(TooLarge, match="entries"):
        store.fetch(project.commit_of(oid, base), base=base, tree_budget=SMALL)


def test_a_bomb_that_a_later_commit_takes_back_is_refused(store: ArtifactStore, project: Project, base: str) -> None:
    """A merge may compare with any commit of the history."""
    middle = project.commit_of(bomb(project, levels=9), base)
    artifact = project.commit_of(project.git("rev-parse", f"{base}^{{tree}}"), middle)

    with pytest.raises(TooLarge, match="entries"):
        store.fetch(artifact, base=base, tree_budget=SMALL)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"d/" * 30 + "f": "x"}, "nested deeper"),
        ({"x" * 150 + "/" + "y" * 100: "x"}, "more than 200 bytes"),
        ({"big": "x" * 100_001}, "100001 bytes written out"),
    ],
)
def test_a_tree_above_a_budget_is_refused_with_the_bound(
    store: ArtifactStore, project: Project, base: str, files: dict[str, str | None], sentence: str
) -> None:
    with pytest.raises(TooLarge, match=sentence):
        store.fetch(project.commit(files), base=base, tree_budget=SMALL)


def test_what_is_too_large_is_not_even_copied(store: ArtifactStore, project: Project, base: str) -> None:
    """Ten megabytes of zeros are ten kilobytes in the shared repository."""
    artifact = project.commit({"zeros": "0" * 10_000_000})

    with pytest.raises(TooLarge, match="1000000 are allowed"):
        store.fetch(artifact, base=base, fetch_budget=FetchBudget(bytes_max=1_000_000))
    with pytest.raises(TooLarge, match="more than 2 objects"):
        store.fetch(artifact, base=base, fetch_budget=FetchBudget(objects_max=2))

    assert not store.has(artifact)


def test_too_many_commits_above_the_base_are_refused(store: ArtifactStore, project: Project, base: str) -> None:
    artifact = [project.commit({"f": str(number)}) for number in range(6)][-1]

    with pytest.raises(TooLarge, match="more than 5 commits"):
        store.fetch(artifact, base=base, tree_budget=SMALL)


def test_a_refused_artifact_is_refused_again(store: ArtifactStore, project: Project, base: str) -> None:
    artifact = project.commit({"big": "x" * 200_000})

    for _ in range(2):
        with pytest.raises(TooLarge):
            store.fetch(artifact, base=base, tree_budget=SMALL)


# Programs of the shared repository


def test_no_program_that_the_shared_repository_names_is_run(
    tmp_path: Path, store: ArtifactStore, project: Project, base: str
) -> None:
    ran = tmp_path / "ran"
    script = tmp_path / "evil.sh"
    script.write_text(f'#!/bin/sh\necho "$0 $*" >> {ran}\ncat\n')
    script.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-checkout", "update", "pre-receive", "post-update", "pre-auto-gc"):
        (hooks / name).symlink_to(script)
    artifact = project.commit({".gitattributes": "* filter=evil diff=evil merge=evil\n", "f": "one\n"})
    theirs = project.commit_of(project.git("rev-parse", f"{base}^{{tree}}"), artifact)
    for key, value in {
        "core.hooksPath": str(hooks),
        "core.fsmonitor": str(script),
        "core.alternateRefsCommand": str(script),
        "core.sshCommand": str(script),
        "uploadpack.packObjectsHook": str(script),
        "filter.evil.clean": str(script),
        "filter.evil.smudge": str(script),
        "diff.evil.textconv": str(script),
        "diff.evil.command": str(script),
        "diff.external": str(script),
        "merge.evil.driver": str(script),
        f"remote.{store.path}.uploadpack": str(script),
        f"url.ext::{script}.insteadOf": str(store.path),
        "gc.auto": "1",
    }.items():
        project.git("config", key, value)

    store.fetch(artifact, base=base)
    store.fetch(theirs, base=base)
    ours = store.commit_files(artifact, {"f": "two\n"}, message="m", author="ada", when=WHEN)
    merged = store.merge(ours, theirs, message="m", when=WHEN)
    store.diff(base, merged.commit)
    store.publish(merged.commit, "refs/gatewright/landing")

    assert not ran.exists()


@pytest.mark.parametrize("planted", [zlib.compress(b"blob 6\0poison"), zlib.compress(b"blob 4\0evil"), b"garbage", b""])
def test_a_planted_object_cannot_stand_in_for_a_published_one(
    store: ArtifactStore, project: Project, base: str, planted: bytes
) -> None:
    """Whoever can write loose objects could wait for a judged commit with other bytes under its ids."""
    store.fetch_base(base)
    ours = store.commit_files(base, {"f": "judged"}, message="m", author="ada", when=WHEN)
    loose = project.loose(store.entries(ours)[1].oid)
    assert store.entries(ours)[1].path == "f"
    loose.parent.mkdir(exist_ok=True)
    loose.write_bytes(planted)

    with pytest.raises(BadArtifact, match="Run `git fsck`"):
        store.publish(ours, "refs/gatewright/landing")

    assert project.git("for-each-ref", "refs/gatewright") == ""


def test_publish_brings_a_commit_with_its_history_and_only_below_our_refs(
    store: ArtifactStore, project: Project, base: str
) -> None:
    store.fetch_base(base)
    first = store.commit_files(base, {"f": "1"}, message="one", author="ada", when=WHEN)
    second = store.commit_files(first, {"f": "2"}, message="two", author="ada", when=WHEN)

    store.publish(second, "refs/gatewright/changes/7/2")
    store.publish(second, "refs/gatewright/changes/7/2")

    assert project.git("log", "--format=%s", "refs/gatewright/changes/7/2").split() == ["two", "one", "work", "work"]
    assert project.git("fsck", "--strict", "--connectivity-only") == ""
    for ref in ("refs/heads/main", "refs/gatewright/../heads/main", "refs/gatewright/a.lock", "refs/gatewright/-x y"):
        with pytest.raises(ValueError, match=r"ref name|not below"):
            store.publish(second, ref)


# The store itself


def test_processes_that_make_the_store_at_once_all_succeed(tmp_path: Path, project: Project, base: str) -> None:
    code = (
        "import sys; from pathlib import Path; from gatewright.gates.artifacts import ArtifactStore\n"
        "s = ArtifactStore(Path(sys.argv[1]), Path(sys.argv[2])); s.ensure(); s.fetch_base(sys.argv[3])"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "new" / "store"), str(project.common_dir), base]

    racing = [subprocess.Popen(arguments, stderr=subprocess.PIPE) for _ in range(4)]

    assert [(process.communicate(timeout=60)[1], process.returncode) for process in racing] == [(b"", 0)] * 4
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["store"]


def test_threads_that_fetch_the_same_artifact_all_succeed(store: ArtifactStore, project: Project, base: str) -> None:
    artifact = project.commit({"b": "2"})

    with ThreadPoolExecutor(4) as threads:
        racing = [threads.submit(store.fetch, artifact, base=base) for _ in range(4)]

    assert [future.exception() for future in racing] == [None] * 4


def test_a_fetch_waits_for_another_ones_lock_no_longer_than_its_bound(
    store: ArtifactStore, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "LOCK_TIMEOUT_S", 0.05)

    with locked(store.path / "gatewright.lock", timeout_s=1), pytest.raises(LockTimeout):
        store.fetch_base(base)


def test_what_a_killed_git_left_is_cleaned_up_but_never_what_may_be_in_use(
    store: ArtifactStore, project: Project, base: str
) -> None:
    """A ref's lock that nobody holds would keep its commit out for ever."""
    store.fetch_base(base)
    artifact = project.commit({"b": "2"})
    refs = store.path / "refs" / "gatewright-store" / "artifacts"
    refs.mkdir(parents=True)
    old = [refs / f"{artifact}.lock", store.path / "packed-refs.lock", store.path / "write-old"]
    new = [store.path / "publish-new", store.path / "objects" / "pack" / "tmp_pack_new"]
    for path in [*old, *new]:
        path.mkdir() if "-" in path.name and path.suffix != ".lock" else path.write_bytes(b"")
    for path in [*old, store.path / "gatewright.lock"]:
        os.utime(path, (0, 0))

    store.ensure()
    store.fetch(artifact, base=base)

    assert [path for path in old if path.exists()] == []
    assert [path for path in [*new, store.path / "gatewright.lock"] if not path.exists()] == []


def test_a_kept_commit_survives_a_clean_up_and_a_pruned_one_does_not(
    store: ArtifactStore, project: Project, base: str
) -> None:
    store.fetch_base(base)
    kept, pruned = (
        store.commit_files(base, {"f": text}, message="m", author="ada", when=WHEN) for text in ("kept", "pruned")
    )
    store.keep(kept, "changes/1/kept")
    store.keep(pruned, "changes/1/pruned")

    store.prune_ref("changes/1/pruned")
    store.prune_ref("changes/1/never-was")
    store.git.run("gc", "-q", "--prune=now")

    assert (store.has(kept), store.has(pruned)) == (True, False)


@pytest.mark.parametrize(
    "name", ["", "-x", "a b", "a//b", "/a", "a/", "a..b", "a.lock", "a/.b", "a\nb", "a~1", "../heads/x"]
)
def test_a_ref_name_that_git_might_take_for_something_else_is_our_bug(store: ArtifactStore, name: str) -> None:
    with pytest.raises(ValueError, match="ref name"):
        store.keep("a" * 40, name)


# Reading


def test_read_returns_files_only(store: ArtifactStore, project: Project, base: str) -> None:
    (project.path / "link").symlink_to("a.txt")
    commit = project.commit({"ümlaut dir/new\nline.txt": "strange", "empty": ""})
    store.fetch(commit, base=base)

    assert store.read(commit, "ümlaut dir/new\nline.txt", 100) == b"strange"
    assert store.read(commit, "empty", 0) == b""
    for path in ("absent", "lib", "link", "link/x", "a.txt/x", "lib/", "/a.txt", "./a.txt", "lib/../a.txt", "", "*"):
        assert store.read(commit, path, 100) is None, path
    with pytest.raises(TooLarge):
        store.read(commit, "a.txt", 3)


def test_changes_tell_modes_objects_and_both_sides_of_a_replaced_folder(
    store: ArtifactStore, project: Project, base: str
) -> None:
    (project.path / "lib/tool.sh").unlink()
    (project.path / "lib").rmdir()
    (project.path / "a.txt").chmod(0o755)
    artifact = project.commit({"lib": "now a file"})
    store.fetch(artifact, base=base)

    found = {(c.path, c.old_mode, c.new_mode) for c in store.changes(base, artifact)}

    assert found == {
        ("a.txt", "100644", "100755"),
        ("lib", None, "100644"),
        ("lib/tool.sh", "100755", None),
    }
    assert store.changes(artifact, artifact) == ()


def test_range_changes_see_what_was_added_and_taken_back_and_what_a_merge_brought(
    store: ArtifactStore, project: Project, base: str
) -> None:
    project.commit({"secret": "peek"})
    project.commit({"secret": None})
    project.git("checkout", "-q", "-b", "side", base)
    project.commit({"side": "s"})
    project.git("checkout", "-q", "main")
    project.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    artifact = project.git("rev-parse", "HEAD")
    store.fetch(artifact, base=base)

    assert {c.path for c in store.changes(base, artifact)} == {"side"}
    assert {c.path for c in store.range_changes(base, artifact)} == {"secret", "side"}


def test_range_changes_see_what_a_merge_commit_itself_slipped_in(
    store: ArtifactStore, project: Project, base: str
) -> None:
    side = project.commit_of(project.git("rev-parse", f"{base}^{{tree}}"), base)
    evil = project.tree(("100644", b"evil", project.object("blob", b"evil")))
    merge = project.commit_of(evil, base, side)
    back = project.commit_of(project.git("rev-parse", f"{base}^{{tree}}"), merge)
    store.fetch(back, base=base)

    assert "evil" in {c.path for c in store.range_changes(base, back)}


def test_renames_are_found_by_similarity(store: ArtifactStore, project: Project) -> None:
    base = project.commit({"old name.py": "line\n" * 50})
    project.git("mv", "old name.py", "new.py")
    artifact = project.commit({"new.py": "line\n" * 50 + "more\n"})
    store.fetch(artifact, base=base)

    assert store.renames(base, artifact) == {"new.py": "old name.py"}


def test_a_diff_is_cut_and_says_so(store: ArtifactStore, project: Project, base: str) -> None:
    artifact = project.commit({"a.txt": "two\n", "big": "x\n" * 100_000, "*": "star\n"})
    store.fetch(artifact, base=base)

    assert "-one\n+two\n" in store.diff(base, artifact, "a.txt")
    assert store.diff(base, artifact, "*").count("diff --git") == 1
    assert store.diff(base, artifact, bytes_max=1_000).endswith("[cut after 1000 bytes]\n")
    assert len(store.diff(base, artifact, bytes_max=1_000)) < 1_100


# Making commits


def test_written_files_keep_their_executable_bit_and_equal_input_gives_the_same_commit(
    store: ArtifactStore, base: str
) -> None:
    store.fetch_base(base)
    files = {"lib/tool.sh": "changed\n", "new/ü.txt": "ü\r\n", "a.txt": None}

    first, second = (store.commit_files(base, files, message="m", author="ada", when=WHEN) for _ in range(2))

    assert first == second
    assert [(entry.mode, entry.path) for entry in store.entries(first)] == [
        ("100755", "lib/tool.sh"),
        ("100644", "new/ü.txt"),
    ]
    assert store.read(first, "new/ü.txt", 100) == "ü\r\n".encode()
    assert (
        store.git.text("log", "-1", "--format=%an %cn %ct %P", first) == f"ada gatewright {WHEN.timestamp():.0f} {base}"
    )


def test_a_folder_can_replace_a_file_that_is_removed_in_the_same_call(store: ArtifactStore, base: str) -> None:
    store.fetch_base(base)

    commit = store.commit_files(base, {"a.txt/inner": "x", "a.txt": None}, message="m", author="ada", when=WHEN)

    assert paths_of(store, commit) == ["a.txt/inner", "lib/tool.sh"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"../out": "x"}, "not a plain relative path"),
        ({"a/./b": "x"}, "not a plain relative path"),
        ({"": "x"}, "not a plain relative path"),
        ({"dir/": "x"}, "not a plain relative path"),
        ({"/etc/passwd": "x"}, "is absolute"),
        ({".git/hooks/pre-commit": "x"}, "git folder"),
        ({"sub/.GIT/config": "x"}, "git folder"),
        ({"git~1/config": "x"}, "git folder"),
        ({".git. /config": "x"}, "git folder"),
        ({".git::$INDEX_ALLOCATION/x": "x"}, "git folder"),
        ({"new\nline": "x"}, "invisible character"),
        ({"nul\0": "x"}, "invisible character"),
        ({"gnp\u202egp.exe": "x"}, "invisible character"),
        ({"\udcff": "x"}, "invisible character"),
        ({"lib": "x"}, "it is a folder"),
        ({"lib": None}, "no such file"),
        ({"absent": None}, "no such file"),
        ({"a.txt/below": "x"}, "not a folder"),
        ({"both": "x", "both/x": "x"}, "file and a folder at once"),
        ({"ok": "\udcff"}, "UTF-8"),
    ],
)
def test_a_path_that_may_not_be_written_is_refused(
    store: ArtifactStore, base: str, files: dict[str, str | None], sentence: str
) -> None:
    store.fetch_base(base)

    with pytest.raises(BadArtifact, match=sentence):
        store.commit_files(base, files, message="m", author="ada", when=WHEN)


@pytest.mark.parametrize("author", ["", "<>", "a\nb <x@y>", "ünï", "\u202e"])
def test_any_agent_name_gives_a_sound_commit(store: ArtifactStore, base: str, author: str) -> None:
    store.fetch_base(base)

    commit = store.commit_files(base, {"f": "x"}, message="m", author=author, when=WHEN)

    assert store.git.run("fsck", "--strict", commit) == b""


def test_a_clean_merge_has_both_sides(store: ArtifactStore, base: str) -> None:
    store.fetch_base(base)
    ours = store.commit_files(base, {"ours": "o"}, message="m", author="ada", when=WHEN)
    theirs = store.commit_files(base, {"theirs": "t"}, message="m", author="bob", when=WHEN)

    merged = store.merge(ours, theirs, message="both", when=WHEN)

    assert (merged.conflicts, merged.messages) == ((), "")
    assert store.parents_of(merged.commit) == (ours, theirs)
    assert paths_of(store, merged.commit) == ["a.txt", "lib/tool.sh", "ours", "theirs"]
    assert store.tree_of(merged.commit) == merged.tree
    assert store.merge(ours, theirs, message="both", when=WHEN) == merged


def test_a_conflict_is_committed_with_markers_and_its_paths_are_named(store: ArtifactStore, base: str) -> None:
    """Our rule: attributes of the tree do not decide how it is merged, so nobody can have conflicts vanish."""
    store.fetch_base(base)
    start = store.commit_files(
        base, {".gitattributes": "* merge=ours -merge binary\n", "ü x": "1\n"}, message="m", author="a", when=WHEN
    )
    ours = store.commit_files(start, {"a.txt": "ours\n", "ü x": "2\n"}, message="m", author="a", when=WHEN)
    theirs = store.commit_files(start, {"a.txt": "theirs\n", "ü x": "3\n"}, message="m", author="a", when=WHEN)

    merged = store.merge(ours, theirs, message="m", when=WHEN)

    assert merged.conflicts == ("a.txt", "ü x")
    content = store.read(merged.commit, "a.txt", 1_000) or b""
    assert content.startswith(b"<<<<<<< ")
    assert b"ours\n=======\ntheirs\n>>>>>>> " in content
    assert "CONFLICT (content): Merge conflict in a.txt" in merged.messages


def test_a_merge_without_common_history_is_refused(store: ArtifactStore, project: Project, base: str) -> None:
    stranger = project.commit_of(project.tree())
    store.fetch_base(base)
    store.fetch_base(stranger)

    with pytest.raises(BadArtifact, match="no history in common"):
        store.merge(base, stranger, message="m", when=WHEN)


def test_the_environment_of_the_caller_does_not_reach_the_store(
    store: ArtifactStore, project: Project, base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_NAMESPACE"):
        monkeypatch.setenv(name, os.fspath(elsewhere))

    store.fetch_base(base)

    assert store.has(base)
    assert list(elsewhere.iterdir()) == []
