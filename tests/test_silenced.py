"""Whoever silences a check, or lets a problem go by, says why on that very line."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("schemas", "gates", "server", "tests", "benchmarks", "examples", "packaging")
MARK_ANYWHERE = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*ignore)")
SWALLOWED = re.compile(r"^\s*except\b[^\n]*:\n\s*pass$", re.MULTILINE)
MARK = re.compile(
    r"#\s*(?:noqa|type:\s*ignore|pyright:\s*ignore)\b(?:\s*:?\s*\[?[A-Z]*\d*[\w, -]*?\]?)(?=\s+[-#(]|\s*$)"
)


def test_every_silenced_check_and_every_swallowed_problem_has_its_reason() -> None:
    files = [*ROOT.glob("*.py"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))]
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(ROOT).parts)]
    bare = [
        f"{file.relative_to(ROOT)}:{line}: {text}"
        for file in files
        for line, text in unreasoned(file.read_text(encoding="utf-8"))
    ]

    assert len(files) > 300
    assert not bare, "\n".join(bare)


@pytest.mark.parametrize(
    ("source", "is_told"),
    [
        ("import os  # noqa: F401\n", True),
        ("x = f()  # type: ignore[misc, arg-type]\n", True),
        ("x = f()  # pyright: ignore\n", True),
        ("try:\n    f()\nexcept OSError:\n    pass\n", True),
        ("import os  # noqa: F401 - to be loaded\n", False),
        ("x = f()  # type: ignore[misc]  # it infers none\n", False),
        ("try:\n    f()\nexcept OSError:\n    pass  # somebody was quicker\n", False),
        ('x = "# noqa"\n', False),
    ],
)
def test_a_line_without_a_reason_is_named(source: str, *, is_told: bool) -> None:
    assert bool(list(unreasoned(source))) is is_told


def unreasoned(source: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line that silences something and does not say why."""
    lines = source.splitlines()
    for found in SWALLOWED.finditer(source):
        number = source.count("\n", 0, found.end()) + 1
        yield number, f"{lines[number - 2].strip()} pass"
    if not MARK_ANYWHERE.search(source):
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        is_mark = token.type == tokenize.COMMENT and MARK.match(token.string)
        if is_mark and not re.search(r"[A-Za-z]{2}", MARK.sub("", token.string)):
            yield token.start[0], lines[token.start[0] - 1].strip()
