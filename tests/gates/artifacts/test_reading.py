"""What a commit holds and changes is read from the store."""

import pytest

from gatewright.gates.artifacts import ArtifactStore, TooLarge

from .project import Project


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


def test_range_changes_see_what_was_added_and_taken_back_on_every_side_of_a_merge(
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
