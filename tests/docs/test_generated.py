"""The pages say what the code says."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from gatewright.schemas import refusals
from gatewright.schemas.refusals import Refusal, RefusalCode

from .generate import DOCS, EXAMPLES, PART, ROOT, builders_in_use, rewritten, states

PAGES = sorted(DOCS.rglob("*.md"))
CITED_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
WRITTEN_PART = re.compile(r"<!-- generated: ([\w .-]+) -->")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_are_what_the_code_says(page: Path) -> None:
    text = page.read_text("utf-8")

    assert text == rewritten(text), f"run `make docs`, then read docs/{page.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_generated_part_has_an_end(page: Path) -> None:
    text = page.read_text("utf-8")

    assert WRITTEN_PART.findall(text) == [match[1] for match in PART.findall(text)]


def test_a_part_that_differs_is_rewritten_and_everything_else_stays() -> None:
    page = "before\n<!-- generated: states -->\nstale\n<!-- end -->\nafter\n"

    assert rewritten(page) == f"before\n<!-- generated: states -->\n{states('')}\n<!-- end -->\nafter\n"


def test_every_wording_of_a_refusal_has_an_example_and_a_use() -> None:
    builders = {
        name
        for name, function in inspect.getmembers(refusals, inspect.isfunction)
        if inspect.signature(function).return_annotation is Refusal
    }

    assert set(EXAMPLES) == builders
    assert builders <= builders_in_use(), "wording that no caller gets"


def test_refusals_stand_in_the_order_in_which_they_are_told() -> None:
    headings = re.findall(r"^### `(\w+)`$", (DOCS / "refusals.md").read_text("utf-8"), re.MULTILINE)

    assert headings == [code.value for code in RefusalCode]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_every_test_that_a_page_cites_exists(page: Path) -> None:
    missing = [
        "::".join(filter(None, cited)) for cited in CITED_TEST.findall(page.read_text("utf-8")) if not _exists(*cited)
    ]

    assert missing == []


def _exists(file: str, test: str) -> bool:
    path = ROOT / file
    if not path.is_file():
        return False
    functions = {
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return not test or test in functions
