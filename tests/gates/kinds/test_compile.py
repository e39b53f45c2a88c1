"""The `compile` gate: what it holds against an artifact and what it does not."""

from pathlib import Path

from gatewright.schemas.records import Outcome

from .workbench import SAMPLE, Project


def test_an_artifact_that_compiles_passes_with_the_number_of_its_python_files(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"])

    evidence = project.judge(project.commit({"more.py": "x = 1\n"}))["compile"]

    assert (evidence.outcome, evidence.counted, evidence.unit) == (Outcome.PASSED, 3, "files")
    assert dict(evidence.environment)["python"].startswith("3.")


def test_a_syntax_error_is_told_with_file_and_line(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"])

    evidence = project.judge(project.commit({"calc.py": "def add(a, b):\n    return a +\n"}))["compile"]

    assert evidence.outcome is Outcome.FAILED
    assert [(f.where, f.rule, f.satisfy) for f in evidence.findings] == [
        ("calc.py:2", "syntax", "Make calc.py compile.")
    ]


def test_a_file_that_is_broken_on_the_base_is_tolerated_also_when_it_was_moved(tmp_path: Path) -> None:
    broken = "x = 1\n" * 20 + "def f(:\n"
    project = Project(tmp_path, ["compile"], {**SAMPLE, "old.py": broken})

    evidence = project.judge(project.commit({"old.py": None, "new.py": f"\n\n{broken}"}))["compile"]

    assert evidence.outcome is Outcome.PASSED
    assert [f.where for f in evidence.tolerated] == ["new.py:23"]
    assert all(f.on_base for f in evidence.tolerated)


def test_absolute_holds_what_the_base_has_against_the_artifact(tmp_path: Path) -> None:
    project = Project(tmp_path, [{"compile": {"absolute": True}}], {**SAMPLE, "old.py": "def f(:\n"})

    evidence = project.judge(project.commit({"more.py": "x = 1\n"}))["compile"]

    assert evidence.outcome is Outcome.FAILED


def test_without_python_files_nothing_was_checked_and_nothing_passes(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"], {"README": "Hello\n"})

    evidence = project.judge(project.commit({"README": "Hello!\n"}))["compile"]

    assert (evidence.outcome, evidence.counted) == (Outcome.ERRORED, 0)


def test_what_lies_in_the_tree_never_runs(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"])
    witness = tmp_path / "witness"
    trap = f"open({str(witness)!r}, 'w').close()\nraise SystemExit(0)\n"

    artifact = project.commit(dict.fromkeys(("sitecustomize.py", "json.py", "os.py", "compileall.py"), trap))

    assert project.judge(artifact)["compile"].outcome is Outcome.PASSED
    assert not witness.exists()


def test_declared_encodings_and_null_bytes_are_read_as_python_reads_them(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"])
    latin = "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1")

    good = project.judge(project.commit({"latin.py": latin}))["compile"]
    bad = project.judge(project.commit({"zero.py": b"x = 1\0\n"}))["compile"]

    assert good.outcome is Outcome.PASSED
    assert [f.path for f in bad.findings] == ["zero.py"]


def test_an_artifact_cannot_leave_files_uncompiled_by_hiding_them(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"])

    evidence = project.judge(project.commit({".gitignore": "*\n", "build/bad.py": "def f(:\n"}))["compile"]

    assert [f.where for f in evidence.findings] == ["build/bad.py:1"]
