"""tabulate: setuptools_scm, modules at the top, pytest declared for tox only, and ruff very red."""

from dataclasses import replace

from edits import Append, Commit, Delete, Move, MoveFile, Reformat, Remove, Rename, Replace, Write
from project import Bad, Feature, Honest, Journey, Project
from sources import Archive

CODE = "tabulate/__init__.py"
PADDING = "tabulate/_padding.py"
OUTPUT_TESTS = "test/test_output.py"
INTERNAL_TESTS = "test/test_internal.py"

FEATURE = Feature(
    title="Take 'middle' for the alignment of rows as well",
    wrong=[
        Replace(CODE, '    elif row_alignment == "center":\n', '    elif row_alignment in ("center", "middle"):\n'),
        # The lines below are one too many: a test that was there before fails.
        Replace(CODE, "bottom_delta = delta_lines - top_delta\n", "bottom_delta = num_lines - top_delta\n"),
        Append(
            OUTPUT_TESTS,
            "\n\ndef test_multiline_row_align_middle():\n"
            '    "Output: a row is aligned to the middle"\n'
            '    table = [["a\\nb\\nc", "d"]]\n'
            '    expected = tabulate(table, tablefmt="grid", rowalign="center")\n'
            '    assert_equal(expected, tabulate(table, tablefmt="grid", rowalign="middle"))\n',
        ),
    ],
    where=r"test/\w+\.py:\d+",
    right=[Replace(CODE, "bottom_delta = num_lines - top_delta\n", "bottom_delta = delta_lines - top_delta\n")],
)

REFACTORING = Honest(
    title="Say what _expand_iterable expands to, and give the padding a module",
    edits=[
        Rename("_expand_iterable", "_expand_to_length", [CODE]),
        Write(PADDING, '"""Padding of cells."""\n\n\n'),
        Move(CODE, "def _padleft(", "def _padnone(ignore_width, s):\n    return s\n", PADDING),
        Replace(
            CODE,
            "from html import escape as htmlescape\n",
            "from html import escape as htmlescape\n"
            # Its tests also run the module as a program, where a relative import would fail.
            "from tabulate._padding import _padboth, _padleft, _padnone, _padright\n",
        ),
    ],
)

DEPENDENCY = Honest(
    title="Sort rows as people do",
    edits=[
        Replace("pyproject.toml", 'dynamic = ["version"]\n', 'dynamic = ["version"]\ndependencies = ["natsort"]\n'),
        Write(
            "tabulate/sorting.py",
            '"""Rows in the order that people expect."""\n\n'
            "from natsort import natsorted\n\n\n"
            "def sort_rows(rows, column=0):\n"
            '    """Sort rows by one column: 2 comes before 10."""\n'
            "    return natsorted(rows, key=lambda row: row[column])\n",
        ),
        Write(
            "test/test_sorting.py",
            '"""Tests of sorting."""\n\n'
            "from tabulate.sorting import sort_rows\n\n\n"
            "def test_sort_rows():\n"
            '    "Sorting: numbers in text count as numbers"\n'
            '    assert sort_rows([["v10"], ["v2"]]) == [["v2"], ["v10"]]\n',
        ),
    ],
)

BAD = Bad(
    title="Simplify the alignment at the decimal point",
    breaking=[
        Replace(CODE, "                return len(string) - pos - 1\n", "                return len(string) - pos\n")
    ],
    where=r"test/\w+\.py:\d+",
    hiding=[
        Remove(INTERNAL_TESTS, "def test_align_column_decimal():\n", "    assert_equal(expected, result)\n\n\n"),
        Remove(
            INTERNAL_TESTS, "def test_align_column_decimal_with_thousand", "    assert_equal(expected, output)\n\n\n"
        ),
    ],
)

TEST_FILES = ("api", "cli", "input", "internal", "output", "regression", "textwrapper")
STARS = "name,magnitude\n" + "".join(f"star {number},{number / 100}\n" for number in range(3_000))
NUMBERS = (
    '"""Tests of numbers."""\n\nimport pytest\n\nfrom tabulate import tabulate\n\nROWS = [\n'
    + "".join(f'    ({number}, "{number}"),\n' for number in range(300))
    + ']\n\n\n@pytest.mark.parametrize("number, text", ROWS)\ndef test_number(number, text):\n'
    '    "Numbers: as they are"\n    assert tabulate([[number]], tablefmt="plain") == text\n'
)

HONEST = (
    Honest(
        "Lay the whole package and its tests out anew",
        [Reformat(["tabulate", "test"], line_length=120)],
        is_sampled=True,
    ),
    Honest(
        "Vendor a table of three thousand rows, and read it in a test",
        [
            Write("test/data/stars.csv", STARS),
            Append(
                OUTPUT_TESTS,
                "\n\ndef test_many_rows():\n"
                '    "Output: as many rows as in a file"\n'
                "    from pathlib import Path\n\n"
                '    lines = (Path(__file__).parent / "data" / "stars.csv").read_text().splitlines()\n'
                '    table = [line.split(",") for line in lines]\n'
                '    assert_equal(len(lines) + 1, len(tabulate(table, "firstrow").splitlines()))\n',
            ),
        ],
    ),
    Honest(
        "Remove a function with its tests",
        [
            Remove(CODE, "def simple_separated_format(separator):\n", "with_header_hide=None,\n    )\n\n\n"),
            Replace(CODE, '"tabulate_formats", "simple_separated_format"]', '"tabulate_formats"]'),
            Replace("test/test_api.py", "tabulate_formats, simple_separated_format", "tabulate_formats"),
            Remove("test/test_api.py", "\n\ndef test_simple_separated_format_signature", "expected_sig)\n"),
            Replace(OUTPUT_TESTS, "tabulate, simple_separated_format, SEP", "tabulate, SEP"),
            Remove(OUTPUT_TESTS, "def test_unaligned_separated():\n", "    assert_equal(expected, result)\n\n\n"),
            Remove(
                "test/test_regression.py",
                "def test_simple_separated_format():\n",
                'simple_separated_format("|")\n    )\n    assert_equal(expected, formatted)\n\n\n',
            ),
        ],
        # Every known test of two files fails as it was: the file imports what is gone.
        asks="changed-expectation, vanished",
    ),
    Honest(
        "Give the helpers of all tests another name",
        [
            MoveFile("test/common.py", "test/helpers.py"),
            Rename("from common", "from helpers", [f"test/test_{name}.py" for name in TEST_FILES]),
        ],
    ),
    Honest(
        "Write about a format, and say so in the changelog",
        [
            Replace("CHANGELOG", "- 0.10.0: Add", "- 0.11.0: Document the alignment of rows.\n- 0.10.0: Add"),
            Append("README.md", "\nRows are aligned to the top unless `rowalign` says otherwise.\n"),
        ],
    ),
    Honest("Add three hundred rows of tests", [Write("test/test_numbers.py", NUMBERS)]),
    Honest(
        "Add a file, mend it, take it back, and do it otherwise",
        [
            Write("tabulate/_alignment.py", "def is_centered(alignment):\n    return alignment == 'center'\n"),
            Commit("Begin"),
            Delete("tabulate/_alignment.py"),
            Commit("Take it back"),
            Replace(CODE, '    elif row_alignment == "center":\n', '    elif row_alignment in ("center",):\n'),
        ],
    ),
)

ARCHIVE = Archive("pip", "tabulate", "0.10.0", "e2cfde8f79420f6deeffdeda9aaec3b6bc5abce947655d17ac662b126e48a60d")
TABULATE = Project(
    archive=ARCHIVE,
    about="starts with tests that skip",
    honest=HONEST,
    journey=Journey(FEATURE, REFACTORING, DEPENDENCY, BAD),
)
LAID_OUT = next(change for change in HONEST if change.title.startswith("Lay the whole"))
TABULATE_RED = Project(
    ARCHIVE,
    "held to rules that it breaks dozens of times",
    (
        REFACTORING,
        # An old comment that silences a rule comes to stand where that rule has something to say.
        replace(LAID_OUT, asks="E731"),
        *(change for change in HONEST if change.title.startswith("Give the helpers")),
    ),
    rules="select: [E4, E7, E9, W, F, UP, B]",
)
