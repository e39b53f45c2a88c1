"""humanize: versions from git through hatch-vcs, a `src` layout, doctests in the sources, an extra for tests."""

from edits import Append, Move, Rename, Replace, Write
from project import Bad, Feature, Honest, Project

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

HUMANIZE = Project("humanize", "4.17.0", "starts green", FEATURE, REFACTORING, DEPENDENCY, BAD)
