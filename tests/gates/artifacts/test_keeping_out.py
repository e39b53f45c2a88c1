"""What is no sound commit above the base stays out, with one sentence that says why."""

import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.artifacts import ArtifactStore, BadArtifact

from .project import WHEN, Project, paths_of


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
