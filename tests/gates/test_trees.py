"""What must not be in a tree is found, and honest trees have no problems."""

import time
from collections.abc import Mapping, Sequence

import pytest

from gatewright.gates.artifact_store.objects import TooLarge
from gatewright.gates.artifact_store.trees import TreeProblem, check_tree, is_dot_git
from gatewright.gates.artifact_store.walk import TreeEntry


def problems(files: Sequence[str] = (), links: Mapping[str, bytes] | None = None) -> set[tuple[str, str]]:
    """(path, rule) of every problem in a tree of these files and links (path to target)."""
    return {(problem.path, problem.rule) for problem in checked(files, links)}


def checked(files: Sequence[str] = (), links: Mapping[str, bytes] | None = None) -> tuple[TreeProblem, ...]:
    targets = {f"oid of {path}": target for path, target in (links or {}).items()}
    entries = [TreeEntry("100644", "oid", 1, path) for path in files]
    entries += [TreeEntry("120000", f"oid of {path}", len(target), path) for path, target in (links or {}).items()]
    return check_tree(entries, lambda oids: {oid: targets[oid] for oid in oids})


def test_an_honest_tree_has_no_problems() -> None:
    files = [
        "README.md", "src/ümlaut/日本.py", "a b/c d.txt", ".gitignore", ".github/x.yml", ".gitmodules", "git/x",
        "console.py", "common/aux_.py", "lib/a.so.txt", "docs/nul-island.md", "tests/data/x..y", "-option", "git~10",
    ]  # fmt: skip

    assert problems(files, {"link": b"src/../README.md", "src/up": b"../a b"}) == set()


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("new\nline", "name"),
        ("tab\there", "name"),
        ("del\x7f", "name"),
        ("gnp\u202ecod.exe", "name"),
        ("zero\u200bwidth", "name"),
        ("line\u2028separator", "name"),
        ("CON", "name"),
        ("dir/nul.txt", "name"),
        ("Lpt1.tar.gz", "name"),
        ("com¹", "name"),
        ("a:b", "name"),
        ("what?", "name"),
        ("back\\slash", "name"),
        ("dot.", "name"),
        ("space ", "name"),
        ("dir. /x", "name"),
        (".git/config", "git"),
        ("sub/.GIT/hooks/x", "git"),
        ("git~1/x", "git"),
        ("GIT~1", "git"),
        (".g\u200cit/x", "git"),
        (".git\ufeff", "git"),
        (".git ./x", "git"),
        (".git::$INDEX_ALLOCATION", "git"),
        ("mod.pyc", "bytecode"),
        ("a/__pycache__/x.txt", "bytecode"),
        ("fast.cpython-311-x86_64-linux-gnu.so", "bytecode"),
        ("fast.PYD", "bytecode"),
        ("evil.pth", "bytecode"),
        ("x-1.0.dist-info/entry_points.txt", "bytecode"),
        ("x.egg-info", "bytecode"),
    ],
)
def test_a_name_that_must_not_be_in_a_tree_is_found(path: str, rule: str) -> None:
    assert (path, rule) in problems([path])


def test_every_problem_says_what_to_do() -> None:
    assert checked(["aux.c", "x.pyc", "A", "a"]) == (
        TreeProblem("A", "collision", "'A' and 'a' are one file on some systems. Rename one."),
        TreeProblem("a", "collision", "'a' and 'A' are one file on some systems. Rename one."),
        TreeProblem("aux.c", "name", "'aux.c' is a device on Windows. Rename it."),
        TreeProblem("x.pyc", "bytecode", "'x.pyc' is compiled or installed code, not source. Remove it and ignore it."),
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Readme", "README"),
        ("Lib/a", "lib/b"),
        ("caf\u00e9", "cafe\u0301"),
        ("STRASSE", "straße"),
        ("x/Y/z", "x/y"),
    ],
)
def test_names_that_are_one_file_elsewhere_are_told_for_both(one: str, other: str) -> None:
    """Whichever of the two an artifact added, the problem is found at its path."""
    assert {path for path, rule in problems([one, other]) if rule == "collision"} == {one, other}


def test_a_hundred_thousand_spellings_of_one_name_are_told_in_time() -> None:
    spellings = [
        "".join(c.upper() if number >> bit & 1 else c for bit, c in enumerate("abcdefghijklmnop"))
        for number in range(2**16)
    ]
    started = time.monotonic()

    assert len(problems(spellings)) == 2**16
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("mode", ["100664", "100600", "040000", "000000", "100645"])
def test_a_mode_that_git_does_not_write_is_found(mode: str) -> None:
    assert [problem.rule for problem in check_tree([TreeEntry(mode, "oid", 1, "f")], lambda _: {})] == ["mode"]


def test_submodules_and_executables_are_no_problem() -> None:
    entries = [TreeEntry("160000", "oid", 0, "sub"), TreeEntry("100755", "oid", 1, "run")]

    assert check_tree(entries, lambda _: {}) == ()


@pytest.mark.parametrize(
    "target",
    [
        b"/etc/passwd",
        b"..",
        b"../x",
        b"a/../../x",
        b"./../x",
        b".git/config",
        b"a/.GIT",
        b"",
        b"a\0/etc",
        b"\xff",
        b"self",
    ],
)
def test_a_link_that_leads_out_or_nowhere_is_found(target: bytes) -> None:
    assert ("self", "link") in problems(["a/x"], {"self": target})


def test_a_link_that_leads_out_only_through_other_links_is_told_for_all_of_them() -> None:
    """`inner` is the root of the tree, so what looks like a step back inside is a step out."""
    found = problems(["x"], {"p/q/inner": b"../..", "out": b"p/q/inner/../x"})

    assert found == {("out", "link"), ("p/q/inner", "link")}


def test_a_link_may_lead_through_links_inside_the_tree() -> None:
    assert problems(["d/e/f"], {"one": b"d/e", "two": b"one/f", "d/back": b"..", "three": b"d/back/two"}) == set()


def test_links_in_a_circle_are_found() -> None:
    assert problems([], {"a": b"b", "b": b"a"}) == {("a", "link"), ("b", "link")}


def test_a_long_link_is_refused_unread() -> None:
    assert problems([], {"long": b"x" * 4_097}) == {("long", "link")}


@pytest.mark.slow
def test_links_that_multiply_are_refused_in_time() -> None:
    links = {f"l{number}": b"/".join([b"d", b".."] * 600) + f"/l{number + 1}".encode() for number in range(3_000)}
    started = time.monotonic()

    with pytest.raises(TooLarge, match="steps to follow"):
        checked([], links)

    assert time.monotonic() - started < 60


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".git.", ".git ", ".git:x", ".\u200dgit"])
def test_every_spelling_of_a_git_folder_is_known(name: str) -> None:
    assert is_dot_git(name)


@pytest.mark.parametrize("name", ["git", ".gitignore", ".gi", "x.git", "git~2", ".github", ""])
def test_other_names_are_no_git_folder(name: str) -> None:
    assert not is_dot_git(name)
