"""Honest commits of the same shape as attacks: they pass, so the suite is not green because everything is stopped."""

from collections.abc import Callable

from .sample import CALC, PYPROJECT, TESTS, Files, Link, Program
from .workshop import Workshop

# Every gate of the sample but `web`, for which nothing is installed.
ALL_GATES = ("compile", "ruff", "types", "blackbox", "once", "reader", "suite", "make", "test", "document")

CONTROLS: dict[str, Callable[[Workshop], Files | str]] = {}


def honest(build: Callable[[Workshop], Files | str]) -> Callable[[Workshop], Files | str]:
    """Put a builder on the list."""
    CONTROLS[str(build.__name__)] = build
    return build


@honest
def new_function_with_its_tests(_: Workshop) -> Files:
    """What most changes are."""
    more = '\n\ndef double(a: int) -> int:\n    """Twice."""\n    return 2 * a\n'
    test = "from calc import double\n\n\ndef test_double(two: int) -> None:\n    assert double(two) == 4\n"
    return {"calc/__init__.py": CALC + more, "tests/test_double.py": test}


@honest
def refactoring_with_moved_tests(_: Workshop) -> Files:
    """Move code to another module and its tests to another folder."""
    return {
        "calc/sums.py": CALC,
        "calc/__init__.py": '"""Sums."""\n\nfrom .sums import add, half\n\n__all__ = ["add", "half"]\n',
        "tests/test_calc.py": None,
        "tests/unit/test_calc.py": TESTS,
    }


@honest
def new_row_and_another_layout_of_tests(_: Workshop) -> Files:
    """Add a row to a table of a known test, in front of the others, and reformat the file."""
    return {"tests/test_calc.py": TESTS.replace("[(1, 2, 3), ", "[(0, 0, 0), (1, 2, 3), ").replace("== 5", "== (5)")}


@honest
def new_dependency_in_a_mixed_file(_: Workshop) -> Files:
    """Change those tables of the mixed file that judge nothing."""
    return {
        "pyproject.toml": PYPROJECT.replace('version = "1.0"', 'version = "1.1"\ndependencies = []'),
        "requirements.txt": "honest\nmore\n",
    }


@honest
def odd_names_that_travel(_: Workshop) -> Files:
    """Have names with spaces, letters of other scripts, and a dot in front."""
    return {"docs/über uns.md": "# Wir\n", "docs/日本語.md": "x\n", "docs/.hidden": "x\n", "docs/.gitkeep": ""}


@honest
def links_and_programs_inside_the_tree(_: Workshop) -> Files:
    """Have a link to a file beside it, and a script."""
    return {"docs/start.md": Link("guide.md"), "lib/run.sh": Program("#!/bin/sh\nexit 0\n")}


@honest
def attributes_that_change_no_bytes_of_others(_: Workshop) -> Files:
    """Declare how files are shown and how their lines end."""
    return {".gitattributes": "*.md linguist-documentation\n*.sh text eol=lf\n", ".gitignore": "*.pyc\n.env\n"}


@honest
def history_of_several_commits(workshop: Workshop) -> str:
    """Make a mistake and mend it in the next commit, within what the stage may write."""
    first = workshop.commit({"calc/__init__.py": CALC.replace("a + b", "a +"), "docs/note.md": "x\n"})
    return workshop.commit({"calc/__init__.py": CALC + "\n# Sums and halves.\n", "docs/note.md": None}, on=first)


@honest
def known_finding_that_moved(_: Workshop) -> Files:
    """Move a file that has had a finding for as long as anybody remembers."""
    return {"calc/legacy.py": None, "calc/old.py": "import os\n"}


@honest
def noisy_program(_: Workshop) -> Files:
    """Print more than is kept, and start a helper that is done before the program is."""
    noise = "sys.stderr.write('x' * 100_000)\nsubprocess.run([sys.executable, '-c', ''], check=True)\n"
    text = CALC.replace('"""Sums."""\n', '"""Sums."""\n\nimport subprocess\nimport sys\n')
    return {"calc/__init__.py": f"{text}\n\n{noise}"}


@honest
def new_fixture_beside_the_known_ones(_: Workshop) -> Files:
    """Have new tests share a helper of their own."""
    test = "from helpers import three\n\n\ndef test_three() -> None:\n    assert three() == 3\n"
    return {"tests/helpers.py": "def three() -> int:\n    return 3\n", "tests/test_three.py": test}
