"""tabulate: setuptools_scm, modules at the top, pytest declared for tox only, and ruff very red."""

from edits import Append, Move, Remove, Rename, Replace, Write
from project import Bad, Feature, Honest, Project

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

TABULATE = Project("tabulate", "0.10.0", "starts with ruff red", FEATURE, REFACTORING, DEPENDENCY, BAD)
