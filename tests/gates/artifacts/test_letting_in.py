"""Whole, sound commits come in by full id, whatever the shared repository says about them."""

import subprocess
from pathlib import Path

import pytest

from gatewright.gates.artifact_store import copying
from gatewright.gates.artifacts import ArtifactStore, BadArtifact

from .project import WHEN, Project, paths_of


def test_an_artifact_comes_in_with_its_exact_bytes(store: ArtifactStore, project: Project, base: str) -> None:
    artifact = project.commit({"b.txt": "two\n"})

    store.fetch(artifact, base=base)

    assert store.read(artifact, "b.txt", 100) == b"two\n"
    assert paths_of(store, artifact) == ["a.txt", "b.txt", "lib/tool.sh"]
    assert store.git.text("rev-parse", f"{artifact}^@") == base
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


def test_a_damaged_index_in_the_shared_repository_holds_nobody_up(
    store: ArtifactStore, project: Project, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git complains of it once for each object that it looks for, which is more than a pipe holds."""
    monkeypatch.setattr(copying, "TRANSFER_TIMEOUT_S", 20.0)
    packs = project.common_dir / "objects" / "pack"
    packs.mkdir(exist_ok=True)
    for number in range(40):
        for suffix in ("idx", "pack"):
            (packs / f"pack-{number:040x}.{suffix}").touch()
    artifact = project.commit({f"{number}.txt": f"{number}" for number in range(40)})

    store.fetch(artifact, base=base)

    assert store.read(artifact, "7.txt", 10) == b"7"


def test_parents_are_told_as_git_reads_them(store: ArtifactStore, project: Project, base: str) -> None:
    """git takes a parent in capitals for the commit that it means, and so does its strict check."""
    author = "Ada <ada@example.org> 1 +0000"
    lines = [f"tree {project.tree()}", f"parent {base.upper()}", f"author {author}", f"committer {author}", "", "m"]
    artifact = project.object("commit", "\n".join(lines).encode())

    store.fetch(artifact, base=base)

    assert store.parents(artifact) == (base,)


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
