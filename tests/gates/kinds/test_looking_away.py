"""Comments that hide something from a checker are a person's to allow, whichever gate would have found it."""

from pathlib import Path

import pytest

from gatewright.schemas.records import Outcome

from .workbench import SAMPLE, Files, Project

CHECK = {"command": {"name": "types", "run": "python3 -I -c 'pass'"}}


@pytest.mark.parametrize(
    ("attack", "outcome"),
    [
        ({"calc.py": "def add(a, b):  # type: ignore\n    return a\n"}, Outcome.PENDING),
        ({"new.py": "import os  # pragma: no cover\n"}, Outcome.PENDING),
        ({"typings/calc.pyi": "x: int\n"}, Outcome.PENDING),
        ({"old.py": None, "other.py": "x = 1  # type: ignore\n"}, Outcome.PASSED),
        ({"old.py": "x = 2  # type: ignore\n"}, Outcome.PASSED),
        ({"new.pyi": "x: int\n", "notes.md": "# type: ignore\n"}, Outcome.PASSED),
    ],
)
def test_scope_asks_where_no_other_gate_does(tmp_path: Path, attack: Files, outcome: Outcome) -> None:
    project = Project(tmp_path, [CHECK], {**SAMPLE, "old.py": "x = 1  # type: ignore\n"})

    assert project.judge(project.commit(attack), gates=())["scope"].outcome is outcome


def test_scope_leaves_it_to_the_gate_that_asks_and_to_pipelines_without_checkers(tmp_path: Path) -> None:
    attack: Files = {"new.py": "import os  # noqa\n"}
    for gates in ([CHECK, "ruff"], ["compile"]):
        project = Project(tmp_path / str(len(gates)), gates)
        assert project.judge(project.commit(attack), gates=())["scope"].outcome is Outcome.PASSED
