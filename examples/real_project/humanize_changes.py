"""humanize: versions from git through hatch-vcs, a `src` layout, doctests in the sources, an extra for tests."""

from edits import Append, Move, MoveFile, Reformat, Rename, Replace, Write
from project import Bad, Feature, Honest, Journey, Project
from sources import Archive

LISTS = "src/humanize/lists.py"
LISTS_TESTS = "tests/test_lists.py"
NUMBER = "src/humanize/number.py"
FINITE = "src/humanize/_finite.py"

FEATURE = Feature(
    title="Let natural_list join with another word than 'and'",
    wrong=[
        Replace(LISTS, "(items: Iterable[Any]) -> str:", '(items: Iterable[Any], conjunction: str = "and") -> str:'),
        Replace(
            LISTS,
            "        'one'\n\n    Args:\n        items (Iterable): An iterable of items.\n",
            "        'one'\n"
            '        >>> natural_list(["one", "two"], conjunction="or")\n'
            "        'one or two'\n"
            "\n"
            "    Args:\n"
            "        items (Iterable): An iterable of items.\n"
            "        conjunction (str): The word before the last item.\n",
        ),
        Replace(LISTS, 'f"{item_list[0]} and {item_list[1]}"', 'f"{item_list[0]} {conjunction} {item_list[1]}"'),
        # A comma too many: tests that were there before fail.
        Replace(
            LISTS,
            '", ".join(item_list[:-1]) + f" and {item_list[-1]}"',
            '", ".join(item_list[:-1]) + f", {conjunction} {item_list[-1]}"',
        ),
        Append(
            LISTS_TESTS,
            "\n\ndef test_natural_list_with_another_conjunction() -> None:\n"
            '    assert humanize.natural_list(["a", "b", "c"], conjunction="or") == "a, b or c"\n',
        ),
    ],
    where=r"tests/test_lists\.py:\d+",
    right=[Replace(LISTS, 'f", {conjunction} {item_list[-1]}"', 'f" {conjunction} {item_list[-1]}"')],
)

REFACTORING = Honest(
    title="Say what _ngettext does, and give the helper for infinite numbers a module",
    edits=[
        Rename(
            "_ngettext",
            "_plural",
            ["src/humanize/i18n.py", NUMBER, "src/humanize/time.py", "scripts/update-translations.sh"],
        ),
        Write(FINITE, '"""Numbers that are infinite, or none at all."""\n\nfrom __future__ import annotations\n\n\n'),
        Move(NUMBER, "def _format_not_finite(", '        return "+Inf"\n    return ""\n', FINITE),
        # Imports are kept sorted.
        Replace(NUMBER, "from .i18n import _plural, decimal_separator, thousands_separator\n", ""),
        Replace(
            NUMBER,
            "from .i18n import _pgettext_noop as PS_\n",
            "from .i18n import _pgettext_noop as PS_\n"
            "from .i18n import _plural, decimal_separator, thousands_separator\n",
        ),
        Replace(
            NUMBER,
            "from .i18n import _gettext as _\n",
            "from ._finite import _format_not_finite\nfrom .i18n import _gettext as _\n",
        ),
    ],
)

DEPENDENCY = Honest(
    title="Write years as Roman numerals",
    edits=[
        Replace("pyproject.toml", 'dynamic = [ "version" ]\n', 'dynamic = [ "version" ]\ndependencies = [ "roman" ]\n'),
        Write(
            "src/humanize/numerals.py",
            '"""Roman numerals."""\n\n'
            "from __future__ import annotations\n\n"
            "import roman\n\n\n"
            "def roman_numeral(value: int) -> str:\n"
            '    """Write a number as clocks and monuments do.\n\n'
            "    Examples:\n"
            "        >>> roman_numeral(2024)\n"
            "        'MMXXIV'\n"
            '    """\n'
            "    return str(roman.toRoman(value))\n",
        ),
        Write(
            "tests/test_numerals.py",
            '"""Tests for numerals."""\n\n'
            "from __future__ import annotations\n\n"
            "from humanize.numerals import roman_numeral\n\n\n"
            "def test_roman_numeral() -> None:\n"
            '    assert roman_numeral(14) == "XIV"\n',
        ),
    ],
)

BAD = Bad(
    title="Simplify naturalsize",
    breaking=[Replace("src/humanize/filesize.py", "        exp += 1\n", "        pass\n")],
    where=r"tests/test_filesize\.py:\d+",
    hiding=[
        Replace("tests/test_filesize.py", '([999999], "1.0 MB")', '([999999], "1000.0 kB")'),
        Replace("tests/test_filesize.py", '([999999999], "1.0 GB")', '([999999999], "1000.0 MB")'),
    ],
)

TRANSLATION = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n' + "".join(
    f'#: src/humanize/time.py:{number}\nmsgid "{number} things"\nmsgstr "{number} Dinge"\n\n' for number in range(1_000)
)

HONEST = (
    Honest(
        "Rename a test", [Replace(LISTS_TESTS, "def test_natural_list(", "def test_natural_lists(")], asks="vanished"
    ),
    Honest("Move a test file", [MoveFile(LISTS_TESTS, "tests/test_natural_lists.py")], is_sampled=True),
    Honest(
        "Add rows in the middle of a parametrised test",
        [
            Replace(
                LISTS_TESTS,
                '        ([["one"]], "one"),\n',
                '        ([["one"]], "one"),\n'
                '        ([["a", "b", "c", "d"]], "a, b, c and d"),\n'
                '        ([["a", 2, None]], "a, 2 and None"),\n',
            )
        ],
        is_sampled=True,
    ),
    Honest(
        "Make a conftest.py with a fixture, and use it",
        [
            Write(
                "tests/conftest.py",
                '"""Fixtures."""\n\n'
                "from __future__ import annotations\n\n"
                "import pytest\n\n\n"
                "@pytest.fixture\n"
                "def fruits() -> list[str]:\n"
                '    return ["apples", "pears"]\n',
            ),
            Append(
                LISTS_TESTS,
                "\n\ndef test_natural_list_of_fruits(fruits: list[str]) -> None:\n"
                '    assert humanize.natural_list(fruits) == "apples and pears"\n',
            ),
        ],
        asks="protected",
    ),
    Honest("Lay the whole package out for narrower screens", [Reformat(["src", "tests"], line_length=72)]),
    Honest(
        "Add pages and data with unusual names",
        [
            Write("docs/Größen und Maße.md", "# Größen\n\nWie groß ist groß?\n"),
            Write("docs/日本語.md", "# 日本語\n"),
            Write("tests/data/naïve [1] & 'co'.txt", "10 kB\n"),
            Append(
                "tests/test_filesize.py",
                "\n\ndef test_naturalsize_as_in_a_file() -> None:\n"
                "    from pathlib import Path\n\n"
                """    file = Path(__file__).parent / "data" / "naïve [1] & 'co'.txt"\n"""
                '    assert f"{humanize.naturalsize(10_000, format=\'%d\')}\\n" == file.read_text("utf-8")\n',
            ),
        ],
    ),
    Honest(
        "Say an error in better words, in the tests too",
        [
            Replace(
                "src/humanize/time.py",
                """f"Minimum unit '{minimum_unit}' not supported\"""",
                """f"Minimum unit '{minimum_unit}' is not supported\"""",
            ),
            Replace(
                "tests/test_time.py",
                """match="Minimum unit 'years' not supported\"""",
                """match="Minimum unit 'years' is not supported\"""",
            ),
        ],
        asks="changed-expectation",
    ),
    Honest(
        "Test on another system in CI",
        [
            Replace(
                ".github/workflows/test.yml",
                "        os: [windows-latest, macos-latest, ubuntu-latest]\n",
                "        os: [windows-latest, macos-latest, ubuntu-latest, ubuntu-24.04-arm]\n",
            )
        ],
    ),
    Honest(
        "Add a translation of four thousand lines, as a tool writes it",
        [Write("src/humanize/locale/xx_XX/LC_MESSAGES/humanize.po", TRANSLATION)],
    ),
)

HUMANIZE = Project(
    archive=Archive("pip", "humanize", "4.17.0", "1d6a36c453dbfbb3f0b34601d2e0b4ce5d48d780305cd45714843f0068fde6ac"),
    about="starts green",
    honest=HONEST,
    journey=Journey(FEATURE, REFACTORING, DEPENDENCY, BAD),
)
