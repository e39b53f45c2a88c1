"""Commits from texts and from merges: deterministic, and only where they may be written."""

import pytest

from gatewright.gates.artifacts import ArtifactStore, BadArtifact

from .project import WHEN, Project, paths_of


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
    assert store.git.text("rev-parse", f"{merged.commit}^@").split() == [ours, theirs]
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
