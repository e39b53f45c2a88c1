"""The `ruff` gate on a file that starts red and is laid out anew: what it had is tolerated, what is added is not."""

import pytest

from gatewright.schemas.records import Outcome

from .workbench import SAMPLE, Project

STATEMENT = "x = dict(zip(names, values), a=1)  # pairs\n"
RELAID = "x = dict(\n    zip(names, values),  # pairs\n    a=1,\n)\n"
OLD = f"names = values = other = ()\n{STATEMENT}"
HEADER = "for a, b in zip(xs, ys): print(a)\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = {**SAMPLE, "old.py": OLD, "loop.py": f"xs = ys = ()\n{HEADER}", "twice.py": "x = [zip(a, b), zip(a, c)]\n"}
    return Project(tmp_path_factory.mktemp("layout"), [{"ruff": {"select": ["B905", "ERA001"]}}], files)


def new_ones(project: Project, path: str, text: str, *, without: str | None = None) -> list[tuple[str | None, str]]:
    """Where the artifact's own findings are when this is its only change."""
    changes = {path: text, **({without: None} if without else {})}
    evidence = project.judge(project.commit(changes, on=project.base))["ruff"]
    assert evidence.outcome is (Outcome.FAILED if evidence.findings else Outcome.PASSED)
    return [(finding.where, finding.rule) for finding in evidence.findings]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("old.py", f"names = values = other = ()\n{RELAID}"),
        ("old.py", f"names = values = other = ()\nif names:\n    {RELAID.replace(chr(10), chr(10) + '    ')}\n"),
        ("twice.py", "x = [\n    zip(a, b),\n    zip(a, c),\n]\n"),
        ("loop.py", "xs = ys = ()\nfor a, b in zip(\n    xs,\n    ys,\n):\n    print(a)\n"),
    ],
    ids=["statement", "indented", "two in one", "header"],
)
def test_a_red_file_may_be_laid_out_anew(project: Project, path: str, text: str) -> None:
    assert new_ones(project, path, text) == []


def test_what_was_laid_out_anew_is_listed_as_tolerated(project: Project) -> None:
    evidence = project.judge(project.commit({"old.py": f"names = values = ()\n{RELAID}"}, on=project.base))["ruff"]

    assert [f.where for f in evidence.tolerated if f.path == "old.py"] == ["old.py:3"]


@pytest.mark.slow
def test_of_equal_lines_the_one_that_is_laid_out_anew_is_known(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Which of them is gone is not told by the line: the second one stays."""
    one, other = "x = [\n    zip(a, b)\n]\n", "y = [\n    zip(a, b)\n]\n"
    files = {**SAMPLE, "old.py": one + other}
    project = Project(tmp_path_factory.mktemp("equal"), [{"ruff": {"select": ["B905"]}}], files)

    assert new_ones(project, "old.py", "x = [zip(a, b)]\n" + other) == []
    assert new_ones(project, "old.py", one + "y = [zip(a, b)]\n") == []
    assert new_ones(project, "old.py", one + other + "x = [zip(a, b)]\n") == [("old.py:7", "B905")]
    assert new_ones(project, "old.py", "x = [zip(a, b)]\n" + one + other) != []


def test_a_file_may_be_renamed_and_laid_out_anew(project: Project) -> None:
    filler = "".join(f"value_{n} = {n}\n" for n in range(30))
    base = Project(project.root / "renamed", [{"ruff": {"select": ["B905"]}}], {**SAMPLE, "old.py": filler + OLD})

    assert new_ones(base, "new.py", filler + OLD.replace(STATEMENT, RELAID), without="old.py") == []


@pytest.mark.parametrize(
    ("path", "text", "where"),
    [
        ("old.py", f"names = values = other = ()\n{RELAID}y = dict(zip(names, other))\n", "old.py:6"),
        ("old.py", f"names = values = other = ()\n{RELAID}{RELAID}", "old.py:7"),
        ("old.py", f"names = values = other = ()\n{RELAID.replace('names, values', 'names, other')}", "old.py:3"),
        ("old.py", f"names = values = other = ()\n{RELAID.replace('pairs', 'others')}", "old.py:3"),
        ("twice.py", "x = [\n    zip(a, b),\n    zip(a, c),\n    zip(a, d),\n]\n", "twice.py:2"),
        ("loop.py", "xs = ys = ()\nfor a, b in zip(\n    ys, xs\n): print(a)\n", "loop.py:2"),
        ("other.py", RELAID, "other.py:2"),
    ],
    ids=["another", "once more", "other variable", "other comment", "third in one", "other header", "other file"],
)
def test_what_is_new_fails_in_a_file_that_is_laid_out_anew(project: Project, path: str, text: str, where: str) -> None:
    assert (where, "B905") in new_ones(project, path, text)


@pytest.mark.parametrize(
    "text",
    [
        # Each has the base's line somewhere, under the statement that the finding is to be taken for.
        "xs = ys = ()\nfor a, b in ((1, 2)): print(zip(a,\n b))\n",
        "xs = ys = ()\nfor a, b in (zip)(\n xs, ys): zip(a, b)\n",
        "xs = ys = ()\nwhile zip(xs,\n ys): print(a)\n",
        "xs = ys = ()\nfor a, b in xs: pass; zip(\n a, b)\n",
    ],
)
def test_a_body_and_its_header_do_not_stand_in_for_each_other(project: Project, text: str) -> None:
    assert new_ones(project, "loop.py", text)


@pytest.mark.slow
def test_a_comment_that_a_rule_is_about_is_no_layout(tmp_path_factory: pytest.TempPathFactory) -> None:
    old = "x = [\n    1,\n    # print(1)\n]\n"
    files = {**SAMPLE, "old.py": old}
    project = Project(tmp_path_factory.mktemp("comment"), [{"ruff": {"select": ["ERA001"]}}], files)

    assert new_ones(project, "old.py", old.replace("# print(1)", "#print(1)")) == []
    assert new_ones(project, "old.py", old.replace("# print(1)", "# remove(everything)")) == [("old.py:3", "ERA001")]


def test_a_file_that_does_not_parse_excuses_nothing(project: Project) -> None:
    found = new_ones(project, "old.py", f"names = values = other = ()\n{RELAID}def f(:\n")

    assert ("old.py:6", "syntax") in found


def test_a_statement_too_deep_to_be_written_down_excuses_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    old = f"x = zip(a, b), {'1 + ' * 900}1\n"
    project = Project(tmp_path_factory.mktemp("deep"), [{"ruff": {"select": ["B905"]}}], {**SAMPLE, "old.py": old})

    assert new_ones(project, "old.py", old.replace("(a, b)", "(\n    a, b)")) == [("old.py:1", "B905")]
