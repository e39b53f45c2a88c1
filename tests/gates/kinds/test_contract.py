"""What holds for every gate kind; a kind that is added to `KINDS` is held to it by an entry in `SAMPLES`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import ValidationError

from gatewright.gates.contract import AnyGateKind
from gatewright.gates.kinds import KINDS
from gatewright.schemas.records import Evidence, Outcome

from .workbench import SAMPLE, Files, Program, Project

PLAN = "# Goal\n\nA thing.\n"
TRANSFORM = {"transform": {"run": "sh tools/list.sh", "paths": ["made/*.txt"]}}
TRACE = {"trace": {"from": "plan", "ids": "R\\d+", "into": ["tests/**"]}}


@dataclass(frozen=True)
class Samples:
    """A gate with commits that it must pass and fail; `empty` has nothing to judge, `red` is a base that starts red."""

    gate: object
    good: Files
    bad: Files
    empty: tuple[Files, Files] | None = None
    red: tuple[Files, Files] | None = None
    base: Files = field(default_factory=lambda: SAMPLE)
    changed: Mapping[str, object] | None = None
    pipeline: Mapping[str, object] = field(default_factory=dict)


SAMPLES: Mapping[str, Samples] = {
    "scope": Samples("compile", {"more.py": "x = 1\n"}, {"calc.py": None}, changed={"writes": ("more.py",)}),
    "compile": Samples(
        "compile",
        {"more.py": "x = 1\n"},
        {"more.py": "x = = 1\n"},
        empty=({"README": "x\n"}, {"README": "y\n"}),
        red=({"old.py": "x = = 1\n"}, {"more.py": "x = 1\n"}),
    ),
    "ruff": Samples(
        "ruff",
        {"more.py": "x = 1\n"},
        {"more.py": "x = undefined\n"},
        empty=({"README": "x\n"}, {"README": "y\n"}),
        red=({"old.py": "import os\n"}, {"more.py": "x = 1\n"}),
    ),
    "command": Samples(
        {"command": {"run": "sh lint.sh", "report": "lines"}},
        {"more.txt": "fine\n"},
        {"more.txt": "BAD\n"},
        red=({"old.txt": "BAD\n"}, {"more.txt": "fine\n"}),
        base={
            "lint.sh": Program("grep -nH BAD *.txt | sed 's/:BAD/: error: bad/'; ! grep -q BAD *.txt\n"),
            "a.txt": "",
        },
    ),
    "test": Samples(
        {"test": {"runner": "pytest"}},
        {"more.py": "x = 1\n"},
        {"calc.py": "def add(a, b):\n    return 0\n\n\nhalf = add\n"},
        empty=({"calc.py": "x = 1\n"}, {"calc.py": "x = 2\n"}),
        red=({**SAMPLE, "tests/test_red.py": "def test_red():\n    assert 0\n"}, {"more.py": "x = 1\n"}),
    ),
    # A document is what its stage makes: it is judged as it stands, and without one it fails.
    "document": Samples(
        {"document": {"path": "plan.md", "sections": ["Goal"]}}, {"plan.md": PLAN}, {"plan.md": "# Goal\n"}
    ),
    "schema": Samples(
        {"schema": {"path": "data/*.yaml", "schema": "schemas/number.json"}},
        {"data/more.yaml": "2\n"},
        {"data/more.yaml": "two\n"},
        red=({"data/old.yaml": "one\n"}, {"data/more.yaml": "2\n"}),
        base={"schemas/number.json": '{"type": "number"}'},
    ),
    "transform": Samples(
        TRANSFORM,
        {"b.src": "", "made/all.txt": "a.src\nb.src\n"},
        {"b.src": ""},
        empty=({"tools/list.sh": "true\n"}, {"b.src": ""}),
        red=({"made/all.txt": "by hand\n"}, {"README": "x\n"}),
        base={"tools/list.sh": "ls *.src > made/all.txt\n", "a.src": "", "made/all.txt": "a.src\n"},
    ),
    "trace": Samples(
        TRACE,
        {"tests/more.py": "# R1\n"},
        {"tests/more.py": "# R2\n"},
        empty=({"README": "x\n"}, {"tests/more.py": "# R1\n"}),
        red=({"plan.md": "- R1: it works\n- R3: lost\n"}, {"tests/more.py": "# R1\n"}),
        base={"plan.md": "- R1: it works\n"},
        pipeline={
            "stages": {
                "plan": {"gates": [{"document": {"path": "plan.md", "sections": ["Goal"]}}]},
                "code": {"needs": ["plan"], "gates": [TRACE]},
            }
        },
    ),
}


# What people or reviewers answer has no outcome of its own to hold to this.
@pytest.fixture(params=sorted(name for name in KINDS if not KINDS[name].is_soft))
def kind(request: pytest.FixtureRequest) -> AnyGateKind:
    return KINDS[request.param]


def judge(root: Path, kind: AnyGateKind, base: Files, files: Files) -> Evidence:
    samples = SAMPLES[kind.name]
    project = Project(root, [samples.gate], base, **samples.pipeline)
    found = project.judge(project.commit(files), **(samples.changed or {}))
    return next(evidence for evidence in found.values() if evidence.kind == kind.name)


def test_a_good_artifact_passes_with_a_count_in_the_kinds_unit(tmp_path: Path, kind: AnyGateKind) -> None:
    evidence = judge(tmp_path, kind, SAMPLES[kind.name].base, SAMPLES[kind.name].good)

    assert evidence.outcome is Outcome.PASSED, evidence
    assert evidence.counted > 0
    assert evidence.unit == kind.unit
    assert evidence.duration_s > 0


@pytest.mark.slow
def test_a_bad_artifact_fails_with_findings_that_say_what_would_do(tmp_path: Path, kind: AnyGateKind) -> None:
    evidence = judge(tmp_path, kind, SAMPLES[kind.name].base, SAMPLES[kind.name].bad)

    assert evidence.outcome is Outcome.FAILED, evidence
    assert all(f.path and f.message and f.satisfy and f.gate == evidence.gate for f in evidence.findings)
    assert len({f.id for f in evidence.findings}) == len(evidence.findings)


def test_what_is_empty_never_passes(tmp_path: Path, kind: AnyGateKind) -> None:
    empty = SAMPLES[kind.name].empty
    base, files = empty if empty is not None else (SAMPLES[kind.name].base, {})

    evidence = judge(tmp_path, kind, base, files)

    # A command is counted by its run; all others have nothing to count here.
    assert evidence.outcome is not Outcome.PASSED or kind.name == "command"


@pytest.mark.slow
def test_what_the_base_has_is_tolerated(tmp_path: Path, kind: AnyGateKind) -> None:
    red = SAMPLES[kind.name].red
    if red is None:
        pytest.skip("judged as it stands")

    evidence = judge(tmp_path, kind, {**SAMPLES[kind.name].base, **red[0]}, red[1])

    assert evidence.outcome is Outcome.PASSED, evidence
    assert [finding.on_base for finding in evidence.tolerated] == [True]


def test_unknown_options_are_refused(kind: AnyGateKind) -> None:
    with pytest.raises(ValidationError, match="no_such_option"):
        kind.options.model_validate({"no_such_option": 1})


def test_a_kind_tells_agents_what_is_checked_and_counted(kind: AnyGateKind) -> None:
    gate = SAMPLES[kind.name].gate
    options = gate[kind.name] if isinstance(gate, dict) else {}

    about = kind.about(kind.options.model_validate(options))

    assert "Counted: " in about
    assert "\n" not in about
    assert all(isinstance(path, str) for path in kind.references(kind.options.model_validate(options)))
