"""Which comments count as telling a checker to look away."""

import pytest

from gatewright.gates.judging.suppressions import find_suppressions


@pytest.mark.parametrize(
    "line",
    [
        "import os  # noqa",
        "import os  #NOQA: F401",
        "import os  # reason # noqa",
        "# ruff: noqa",
        "# ruff: disable[F401]",
        "# flake8: noqa",
        "x = y  # type: ignore[name-defined]",
        "# type: ignore",
        "x = y  # pyright: ignore",
        "# pyright: basic",
        "# mypy: ignore-errors",
        "x = y  # pylint: disable=all",
        "x = y  # ty: ignore",
        "x = [1,2]  # fmt: skip",
        "# fmt: off",
        "# isort:skip_file",
        "# ruff: isort: off",
    ],
)
def test_a_suppression_is_found_with_its_line(line: str) -> None:
    assert [(s.line, s.text) for s in find_suppressions(f"x = 1\n{line}\n".encode())] == [(2, line)]


@pytest.mark.parametrize(
    "source", ["", "x = '# noqa'\n", '"""\n# type: ignore\n"""\n', "# a noqaless comment: the type is ignored\n"]
)
def test_a_text_that_only_looks_so_is_none(source: str) -> None:
    assert find_suppressions(source.encode()) == ()


@pytest.mark.parametrize("source", [b"def f(:\n  x = (  # noqa\n", b"\xff\n# noqa\n", b"x = '''\n# noqa\n"])
def test_in_a_file_that_does_not_parse_every_line_that_looks_so_counts(source: bytes) -> None:
    assert len(find_suppressions(source)) == 1
