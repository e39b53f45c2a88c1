"""Globs: what they match, which may meet, and what is substituted in them."""

import itertools
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatewright.gates import paths


@pytest.mark.parametrize(
    ("glob", "matched", "unmatched"),
    [
        ("src/**", ["src/a.py", "src/a/b/c.py", "src/.hidden"], ["src", "srcs/a.py", "lib/src/a.py", "Src/a.py"]),
        ("**", ["a", "a/b", ".github/x", "a\nb/ü"], [""]),
        ("**/conftest.py", ["conftest.py", "a/conftest.py", "a/b/conftest.py"], ["xconftest.py", "conftest.py/a"]),
        ("src/**/test_*.py", ["src/test_a.py", "src/x/y/test_.py"], ["src/x/tests.py", "test_a.py"]),
        ("*.md", ["a.md", ".md"], ["docs/a.md", "a.mdx"]),
        ("docs/*", ["docs/a"], ["docs", "docs/a/b", "docs/"]),
        ("a?c", ["abc", "a\nc", "aéc"], ["ac", "a/c", "abbc"]),
        ("[a-c]x[!0-9].py", ["axy.py", "cx-.py"], ["dxy.py", "ax1.py", "ax/.py"]),
        ("[]x]", ["]", "x"], ["[", ""]),
        ("[*]", ["*"], ["a"]),
        ("src", ["src"], ["src/a"]),
        ("a.b", ["a.b"], ["aXb"]),
        ("**/a/**/b/**", ["a/b/c", "x/a/y/b/z", "a/a/b/b/c"], ["a/b", "b/a/c"]),
        ("a*b*c", ["abc", "axbybzc", "abbcc"], ["ab", "acb"]),
    ],
)
def test_a_glob_matches_whole_paths_and_nothing_by_surprise(
    glob: str, matched: list[str], unmatched: list[str]
) -> None:
    assert [path for path in matched if not paths.matches(path, [glob])] == []
    assert [path for path in unmatched if paths.matches(path, [glob])] == []


def test_a_path_matches_when_any_of_several_globs_does_and_never_without_one() -> None:
    assert paths.matches("b/x", ["a/**", "b/**"])
    assert not paths.matches("c/x", ["a/**", "b/**"])
    assert not paths.matches("", [])
    assert not paths.matches("a", [])


@pytest.mark.parametrize(
    ("glob", "remedy"),
    [
        ("src/", "'src/' names a directory and would match nothing; write 'src/**' for all that lies below it"),
        ("/etc/passwd", "'/etc/passwd' must be relative to the repository's root"),
        ("", "'' must be relative to the repository's root"),
        ("a//b", "'a//b' holds the segment '', which no path of a repository has"),
        ("./a", "'./a' holds the segment '.', which no path of a repository has"),
        ("a/../b", "'a/../b' holds the segment '..', which no path of a repository has"),
        (r"a\b", r"'a\\b' holds a backslash or a control character; segments are joined by '/'"),
        ("a\nb", r"'a\nb' holds a backslash or a control character; segments are joined by '/'"),
        (
            "a**b",
            (
                "'a**b' holds '**' inside a segment; "
                "it crosses directories as a segment of its own, as in 'src/**/test_*.py'"
            ),
        ),
        ("a[bc", "'a[bc' opens a class with '[' and does not close it; write [[] for the character itself"),
        ("a[z-a]", "'a[z-a]' holds a class that no character is in"),
    ],
)
def test_a_glob_that_would_match_nothing_is_refused_with_the_remedy(glob: str, remedy: str) -> None:
    assert paths.check_glob(glob) == remedy
    with pytest.raises(paths.GlobInvalid):
        paths.matches("a", [glob])
    with pytest.raises(paths.GlobInvalid):
        paths.overlap([glob], ["**"])


def test_a_hostile_name_cannot_make_a_glob_of_many_stars_run_for_ever() -> None:
    deep = "/".join(["a"] * 2_000) + "/x"
    began = time.monotonic()

    assert not paths.matches("a" * 20_000 + "!", ["*a*a*a*a*a*a*b"])
    assert not paths.matches(deep, ["**/a/**/a/**/a/**/a/**/b"])

    assert time.monotonic() - began < 5


@given(st.text(alphabet="ab*?[]!-{}/.é\n", min_size=1, max_size=8).filter(lambda path: "/" not in path))
def test_an_escaped_path_matches_itself_alone(path: str) -> None:
    if paths.check_glob(paths.escape(path)) is None:
        assert paths.matches(path, [paths.escape(path)])
        assert not paths.matches(path + "a", [paths.escape(path)])


ALPHABET = "abc"
SEGMENTS = ["".join(letters) for size in (1, 2, 3) for letters in itertools.product(ALPHABET, repeat=size)]
# Every path of one or two short segments, and of three and four of one letter: enough for globs of the sizes below.
SMALL_PATHS = (
    SEGMENTS
    + ["/".join(pair) for pair in itertools.product(SEGMENTS, repeat=2)]
    + ["/".join(names) for size in (3, 4) for names in itertools.product(ALPHABET, repeat=size)]
)
segment_globs = st.one_of(
    st.just("**"),
    st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]"]), min_size=1, max_size=2)
    .map("".join)
    .filter(lambda segment: "**" not in segment),
)
globs = st.lists(segment_globs, min_size=1, max_size=2).map("/".join)


def by_brute_force(one: str, other: str) -> bool:
    return any(paths.matches(path, [one]) and paths.matches(path, [other]) for path in SMALL_PATHS)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(globs, globs)
@example("**/a", "a/**")
@example("**", "**")
@example("a/**", "a")
@example("[!a]", "[!b]")
@example("**/**", "a/**")
@example("*a", "b*")
def test_two_globs_overlap_exactly_when_some_path_matches_both(one: str, other: str) -> None:
    assert (paths.overlap([one], [other]) is not None) == by_brute_force(one, other)


def as_read_by_hand(path: list[str], glob: list[str]) -> bool:
    """A second, slower reading of the rules to hold the first against."""
    if not glob:
        return not path
    if glob[0] == "**":
        least = 1 if len(glob) == 1 else 0
        return any(as_read_by_hand(path[n:], glob[1:]) for n in range(least, len(path) + 1))
    return bool(path) and segment_by_hand(path[0], glob[0]) and as_read_by_hand(path[1:], glob[1:])


def segment_by_hand(name: str, glob: str) -> bool:
    if not glob:
        return not name
    if glob[0] == "*":
        return any(segment_by_hand(name[n:], glob[1:]) for n in range(len(name) + 1))
    if glob.startswith("[ab]"):
        return name[:1] in ("a", "b") and segment_by_hand(name[1:], glob[4:])
    if glob.startswith("[!a]"):
        return name[:1] not in ("", "a") and segment_by_hand(name[1:], glob[4:])
    return name[:1] != "" and glob[0] in ("?", name[0]) and segment_by_hand(name[1:], glob[1:])


long_globs = st.lists(
    st.one_of(
        st.just("**"),
        st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]"]), min_size=1, max_size=5)
        .map("".join)
        .filter(lambda segment: "**" not in segment),
    ),
    min_size=1,
    max_size=5,
)
long_paths = st.lists(st.text(alphabet=ALPHABET, min_size=1, max_size=5), min_size=1, max_size=6)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(long_paths, long_globs)
def test_the_fast_matcher_agrees_with_the_rules_read_by_hand(path: list[str], glob: list[str]) -> None:
    assert paths.matches("/".join(path), ["/".join(glob)]) == as_read_by_hand(path, glob)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(long_paths, long_globs, long_globs)
def test_globs_that_share_a_path_always_overlap(path: list[str], one: list[str], other: list[str]) -> None:
    if as_read_by_hand(path, one) and as_read_by_hand(path, other):
        assert paths.overlap(["/".join(one)], ["/".join(other)]) is not None


def test_an_overlap_names_the_two_globs() -> None:
    assert paths.overlap(["docs/**", "src/*.py"], ["README.md", "src/a*"]) == ("src/*.py", "src/a*")
    assert paths.overlap(["docs/**"], ["src/**"]) is None
    assert paths.overlap(["[!b]*/x"], ["b*/x"]) is None
    assert paths.overlap([], ["**"]) is None


def test_the_three_placeholders_are_filled_in_and_nothing_else_is() -> None:
    assert paths.substitute("docs/{change}/{stage}.md", change="c12", stage="plan") == "docs/c12/plan.md"
    assert paths.substitute("{task}/{task}", change="c1", stage="code", task="t-1") == "t-1/t-1"
    assert paths.substitute("plain", change="c1", stage="code") == "plain"


@pytest.mark.parametrize(
    "text", ["{task}", "{Change}", "{change", "change}", "{}", "{{change}}", "${HOME}", "{a,b}", "{ change }"]
)
def test_any_other_braces_are_refused(text: str) -> None:
    assert paths.check_placeholders(text) is not None
    with pytest.raises(paths.GlobInvalid):
        paths.substitute(text, change="c1", stage="code")


def test_a_text_with_braces_of_its_own_keeps_them() -> None:
    command = "awk '{print $1}' ${HOME}/{change}.txt {a,b} {task} R\\d{2} {{stage}}"

    filled = "awk '{print $1}' ${HOME}/c1.txt {a,b} {task} R\\d{2} {code}"
    assert paths.fill(command, change="c1", stage="code") == filled


@pytest.mark.parametrize("value", ["**", "../x", "a/b", "", "-rf", "a b", "{stage}"])
def test_a_value_that_is_more_than_a_name_is_not_filled_in(value: str) -> None:
    with pytest.raises(paths.GlobInvalid):
        paths.substitute("docs/{task}.md", change="c1", stage="code", task=value)
    with pytest.raises(paths.GlobInvalid):
        paths.fill("check {task}", change="c1", stage="code", task=value)
