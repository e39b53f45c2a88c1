"""A tree that is small in the repository and huge outside is refused before anything expands it."""

import time

import pytest

from gatewright.gates.artifact_store import copying
from gatewright.gates.artifacts import ArtifactStore, BadArtifact, FetchBudget, TooLarge, TreeBudget

from .project import Project

SMALL = TreeBudget(entries_max=1_000, bytes_max=100_000, depth_max=20, path_bytes_max=200, commits_max=5)


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


def test_what_cannot_be_weighed_is_not_listed_for_copying(project: Project, base: str) -> None:
    """It could be there, and be anything, a moment later."""
    artifact = project.commit({"b.txt": "honest"})
    loose = project.loose(project.git("rev-parse", f"{artifact}:b.txt"))
    loose.chmod(0o644)
    loose.write_bytes(b"nothing that git can read")

    with pytest.raises(BadArtifact, match="missing or damaged"):
        copying.list_added(project.common_dir, artifact, base=base, budget=FetchBudget())


def test_too_many_commits_above_the_base_are_refused(store: ArtifactStore, project: Project, base: str) -> None:
    artifact = [project.commit({"f": str(number)}) for number in range(6)][-1]

    with pytest.raises(TooLarge, match="more than 5 commits"):
        store.fetch(artifact, base=base, tree_budget=SMALL)


def test_a_refused_artifact_is_refused_again(store: ArtifactStore, project: Project, base: str) -> None:
    artifact = project.commit({"big": "x" * 200_000})

    for _ in range(2):
        with pytest.raises(TooLarge):
            store.fetch(artifact, base=base, tree_budget=SMALL)
