"""What real tools print, turned into findings: live where the tool comes with the test run, else as it was recorded."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.report_file import place_in
from gatewright.gates.reports import parse_junit
from gatewright.gates.reports.eslint_json import parse_eslint
from gatewright.gates.reports.lines import parse_lines
from gatewright.gates.reports.reported import Report
from gatewright.gates.reports.ruff_json import parse_ruff
from gatewright.gates.reports.sarif import parse_sarif

RECORDED = Path(__file__).parent / "reported"
TREE = Path("/tree")

# path:line, rule, how the message begins
Row = tuple[str, str | None, str]

BAD_PYTHON = "import os\n\n\ndef f() -> int:\n    return undefined_name\n"
BAD_TEST = "def test_adds():\n    assert 1 + 1 == 3\n\n\ndef test_fine():\n    pass\n"
BAD_C = "#include <stdio.h>\nint main(void) {\n    return missing;\n}\n"


def rows(report: Report, tree: Path, severity: str = "error") -> list[Row]:
    return [
        (f"{place_in(tree, item.path or '')}:{item.line}", item.rule, item.message)
        for item in report.items
        if item.severity == severity and not item.is_hidden
    ]


def run(folder: Path, *command: str) -> bytes:
    """Both outputs of the program together, as a gate reads them."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout


def of_lines(data: bytes) -> Report:
    return parse_lines(data.decode())


RUFF = [
    ("src/a b.py:1", "F401", "`os` imported but unused"),
    ("src/a b.py:5", "F821", "Undefined name `undefined_name`"),
]


@pytest.mark.parametrize(
    ("file", "source", "command", "parse", "expected"),
    [
        (
            "src/a b.py",
            BAD_PYTHON,
            ("-m", "ruff", "check", "--isolated", "--output-format=json", "-q"),
            parse_ruff,
            RUFF,
        ),
        (
            "src/a b.py",
            BAD_PYTHON,
            ("-m", "ruff", "check", "--isolated", "--output-format=sarif", "-q"),
            parse_sarif,
            RUFF,
        ),
        ("src/a b.py", BAD_PYTHON, ("-m", "ruff", "check", "--isolated", "--output-format=concise"), of_lines, RUFF),
        (
            "src/a.py",
            BAD_PYTHON,
            ("-m", "mypy", "--cache-dir=/dev/null", "--config-file="),
            of_lines,
            [("src/a.py:5", "name-defined", 'Name "undefined_name" is not defined')],
        ),
    ],
    ids=["ruff json", "ruff sarif", "ruff concise", "mypy"],
)
def test_linters_and_type_checkers_of_python(  # noqa: PLR0917 - a row of the table
    tmp_path: Path,
    file: str,
    source: str,
    command: tuple[str, ...],
    parse: Callable[[bytes], Report],
    expected: list[Row],
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / file).write_text(source)

    found = rows(parse(run(tmp_path, sys.executable, *command, file)), tmp_path)

    assert [(where, rule) for where, rule, _ in found] == [(where, rule) for where, rule, _ in expected]
    for (_, _, message), (_, _, beginning) in zip(found, expected, strict=True):
        assert message.startswith(beginning)


@pytest.mark.slow
def test_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(BAD_TEST)
    run(tmp_path, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml", ".")

    failed, fine = parse_junit((tmp_path / "report.xml").read_bytes(), 1_000_000)

    assert (failed.id, failed.path, failed.line) == ("test_it::test_adds", "test_it.py", 2)
    assert failed.message.startswith("assert (1 + 1) == 3")
    assert fine.outcome == "passed"


def test_the_compiler_of_python_names_no_line_in_front_of_its_message(tmp_path: Path) -> None:
    """Its traceback is not of the form of a compiler's message: the exit code is the finding, and `compile` a gate."""
    (tmp_path / "a.py").write_text("x = = 1\n")

    said = run(tmp_path, sys.executable, "-m", "compileall", "-q", "a.py")

    assert b"SyntaxError" in said
    assert of_lines(said).items == ()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here; the recorded one is tested")
def test_gcc(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(BAD_C)

    found = rows(of_lines(run(tmp_path, "gcc", "-c", "main.c")), tmp_path)

    assert [where for where, _, _ in found] == ["main.c:3"]
    assert "missing" in found[0][2]


UNDEFINED = ("src/bad file.js:2", "no-undef", "'b' is not defined.")
BROKEN = "Parsing error: Unexpected token ="
NOT_A_NUMBER = ("a.ts:1", "TS2322", "Type 'string' is not assignable to type 'number'.")


@pytest.mark.parametrize(
    ("sample", "parse", "expected"),
    [
        ("eslint-9.39.5.json", parse_eslint, [UNDEFINED, ("src/broken.js:1", "eslint", BROKEN)]),
        ("eslint-9.39.5.sarif", parse_sarif, [UNDEFINED, ("src/broken.js:1", "ESL0999", BROKEN)]),
        ("eslint-9.39.5-stylish.txt", of_lines, []),
        ("eslint-8.57.1-unix.txt", of_lines, [UNDEFINED]),
        ("tsc-7.0.2.txt", of_lines, [NOT_A_NUMBER]),
        ("tsc-7.0.2-pretty.txt", of_lines, [NOT_A_NUMBER]),
        (
            "pyright-1.1.414.txt",
            of_lines,
            [("src/calc.py:2", "reportReturnType", 'Type "Literal[\'text\']" is not assignable to return type "int"')],
        ),
        (
            "gcc-12.2.0.txt",
            of_lines,
            [("main.c:3", None, "\u2018missing\u2019 undeclared (first use in this function)")],
        ),
        ("cargo-1.95.0-short.txt", of_lines, [("src/lib.rs:2", "E0425", "cannot find value `y` in this scope")]),
    ],
)
def test_linters_and_compilers_as_they_were_recorded(
    sample: str, parse: Callable[[bytes], Report], expected: list[Row]
) -> None:
    found = rows(parse((RECORDED / sample).read_bytes()), TREE)

    assert [(where, rule) for where, rule, _ in found] == [(where, rule) for where, rule, _ in expected]
    for (_, _, message), (_, _, beginning) in zip(found, expected, strict=True):
        assert message.startswith(beginning)


def test_eslint_counts_every_file_and_tells_what_comments_hide() -> None:
    """What is left out of a report of its kind would look like nothing at all."""
    for sample, parse in (("eslint-9.39.5.json", parse_eslint), ("eslint-9.39.5.sarif", parse_sarif)):
        report = parse((RECORDED / sample).read_bytes())

        assert report.counted == 3
        assert [(item.line, item.rule) for item in report.items if item.is_hidden] == [(3, "no-undef")]


@pytest.mark.parametrize(
    ("sample", "tests", "failed", "where", "message"),
    [
        ("node-20.20.2-junit.xml", 3, "group::inner fails", "t.test.js:3", "Expected values to be strictly equal"),
        ("vitest-4.1.12-junit.xml", 3, "sum.test.mjs::subtracts", "sum.test.mjs:4", "expected 1 to be 2"),
        (
            "jest-30.5.2-jest-junit-17.0.0.xml",
            2,
            "subtracts",
            "jsum.test.js:3",
            "Error: expect(received).toBe(expected)",
        ),
        ("mocha-12.0.3-xunit.xml", 3, "sum::subtracts", "mocha.spec.js:4", "1 == 2"),
    ],
)
def test_test_runners_of_node_as_they_were_recorded(
    sample: str, tests: int, failed: str, where: str, message: str
) -> None:
    cases = parse_junit((RECORDED / sample).read_bytes(), 1_000_000)

    (bad,) = [case for case in cases if case.outcome == "failed"]
    assert len(cases) == tests
    assert (bad.id.strip(), f"{place_in(TREE, bad.path or '')}:{bad.line}") == (failed, where)
    assert bad.message.startswith(message)


def test_a_file_of_node_that_does_not_load_is_named() -> None:
    (case,) = parse_junit((RECORDED / "node-20.20.2-unloadable-junit.xml").read_bytes(), 1_000_000)

    assert (case.outcome, place_in(TREE, case.path or "")) == ("failed", "test/sum.test.js")
