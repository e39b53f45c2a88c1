"""What a command judges is not what it judges by: only the latter is protected."""

import pytest

from gatewright.gates.guarded.judged_words import judged_words


@pytest.mark.parametrize(
    ("command", "judged"),
    [
        ("mypy --strict src/calc.py", {"src/calc.py"}),
        ("python -m mypy ./calc.py", {"calc.py"}),
        ("test -f calc.py && mypy calc.py", {"calc.py"}),
        ("uv run pyright a.py b.py", {"a.py", "b.py"}),
        ("LANG=C ruff check calc.py", {"calc.py"}),
        ("eslint --config rules.js src/a.js", {"src/a.js"}),
        ("python ci/check.py", set()),
        ("python ci/check.py calc.py", set()),
        ("sh ci/run.sh && ./tool.py", set()),
        ("pytest tests/test_calc.py", set()),
        ("mypy --config-file mypy.cfg", set()),
        ("mypy 'unfinished", set()),
        ("ruff check .; python ci/check.py", set()),
        ("python ci/check.py && mypy ci/check.py", set()),
    ],
)
def test_only_source_files_that_a_checker_is_given_are_judged(command: str, judged: set[str]) -> None:
    assert judged_words(command) == judged
