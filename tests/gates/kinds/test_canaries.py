"""Every kind is green on its specimen and red on what it plants; a kind that is added is held to it by its sample."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.contract import AnyGateKind, Found, PatchRefused, Specimen, Spoiled
from gatewright.gates.judging.planting import SYNTAX_ERROR, path_in, path_outside
from gatewright.gates.judging.specimens import SpecimenMaker
from gatewright.gates.kinds import KINDS
from gatewright.gates.kinds.document import KIND as DOCUMENT
from gatewright.gates.kinds.document import judge_document
from gatewright.gates.kinds.ruff_canary import BREACHES, breach
from gatewright.gates.policy import SCOPE_GATE
from gatewright.schemas.records import Evidence, Outcome

from .test_contract import SAMPLES
from .workbench import Project

CANARY = "--- /dev/null\n+++ b/more.txt\n@@ -0,0 +1 @@\n+BAD\n"


def tree(files: dict[str, bytes] | None = None, writes: tuple[str, ...] = ("**",)) -> Specimen:
    files = files or {}
    return Specimen("c0", "code", writes, tuple(sorted(files)), files.get)


# Nothing in a tree makes people or reviewers say no.
@pytest.fixture(params=sorted(name for name in KINDS if not KINDS[name].is_soft))
def kind(request: pytest.FixtureRequest) -> AnyGateKind:
    return KINDS[request.param]


class Bench:
    """A project of the kind's sample, and specimens of it."""

    def __init__(self, root: Path, kind: AnyGateKind) -> None:
        self.kind = kind
        samples = SAMPLES[kind.name]
        gate, base = samples.gate, samples.base
        if kind.name == "command":
            assert isinstance(gate, dict)
            gate, base = {"command": {**gate["command"], "canary": "bad.patch"}}, {**base, "bad.patch": CANARY}
        self.project = Project(root, [gate], base, **samples.pipeline)
        job = self.project.job(self.project.base)
        [spec] = [found for found in (*job.gates, SCOPE_GATE) if found.kind == kind.name]
        self.options = kind.options.model_validate(spec.options)
        self.maker = SpecimenMaker(ArtifactStore(job.store, job.shared), job.policy, "c1", "code", ("src/**",))

    def judge(self, commit: str) -> Evidence:
        job = replace(self.project.job(self.project.base, writes=self.maker.writes), commit=commit)
        found = {said.evidence.kind: said.evidence for said in self.project.messages(job) if isinstance(said, Found)}
        return found[self.kind.name]


@pytest.mark.slow
def test_a_kind_is_green_on_its_specimen_and_red_on_what_it_plants(tmp_path: Path, kind: AnyGateKind) -> None:
    bench = Bench(tmp_path, kind)
    base = bench.project.base

    good = bench.maker.commit(base, kind.specimen(bench.options, bench.maker.specimen(base)))
    spoiled = kind.spoil(bench.options, bench.maker.specimen(good))
    assert spoiled is not None
    bad = bench.maker.commit(good, spoiled.files)
    green, red = bench.judge(good), bench.judge(bad)

    assert (green.outcome, green.counted > 0) == (Outcome.PASSED, True), green
    assert red.outcome is Outcome.FAILED, red
    assert any(is_about(spoiled, finding.path, finding.message) for finding in red.findings), red.findings


def is_about(spoiled: Spoiled, path: str | None, message: str) -> bool:
    return path in spoiled.files if spoiled.mark is None else spoiled.mark in message


@pytest.mark.parametrize(
    ("glob", "written", "refused"),
    [
        ("**", "gatewright_canary.txt", ".gatewright/gatewright_canary.txt"),
        ("src/**", "src/gatewright_canary.txt", "gatewright_canary.txt"),
        ("docs/changes/c0.md", "docs/changes/c0.md", "gatewright_canary.txt"),
        ("src/**/*.py", "src/gatewright_canary.py", "gatewright_canary.txt"),
        ("*.txt", "gatewright_canary.txt", "gatewright_canary/outside.txt"),
        ("a/[!b]x?.txt", "a/axx.txt", "gatewright_canary.txt"),
        (".gatewright/**", None, "gatewright_canary.txt"),
    ],
)
def test_a_path_is_found_on_each_side_of_what_may_be_written(glob: str, written: str | None, refused: str) -> None:
    assert (path_in((glob,), tree()), path_outside((glob,), tree())) == (written, refused)


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, _, text in BREACHES])
def test_every_breach_breaks_its_rule(tmp_path: Path, rule: str, text: bytes) -> None:
    (tmp_path / "a.py").write_bytes(b'"""Doc."""\n\nx = 1\n' + text)

    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", rule, "a.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 1, done
    assert rule in done.stdout


@pytest.mark.parametrize(
    ("configuration", "select", "ignore", "what"),
    [
        ("", (), (), "an undefined name"),
        ("[lint]\nselect = ['I']\n", (), (), "imports out of order"),
        ("[lint]\nselect = ['I']\n", ("T20",), (), "a print"),
        ("[lint]\nselect = ['ALL']\nignore = ['F']\n", (), (), "a comparison with None"),
        ("[lint]\nselect = ['F', 'E']\nignore = ['F82']\n", (), ("F401",), "a comparison with None"),
        ("[lint]\nselect = ['PLR2004']\n", (), (), "a syntax error"),
        ("extend = 'other.toml'\n", (), (), "a syntax error"),
    ],
)
def test_what_is_planted_for_ruff_is_what_it_selects(
    configuration: str, select: tuple[str, ...], ignore: tuple[str, ...], what: str
) -> None:
    there = tree({"ruff.toml": configuration.encode()})

    assert breach(there, config=None, select=select, ignore=ignore)[0] == what


@pytest.mark.parametrize(
    ("configuration", "is_certain"),
    [("[lint]\nselect = ['F']\n", True), ("exclude = ['a.py']\n", False), ("[lint.per-file-ignores]\n", False)],
)
def test_a_configuration_that_may_pass_over_a_file_makes_a_miss_no_proof(configuration: str, is_certain: bool) -> None:
    kind = KINDS["ruff"]
    there = tree({"ruff.toml": configuration.encode(), "a.py": b"x = 1\n"})

    spoiled = kind.spoil(kind.options(), there)

    assert spoiled is not None
    assert spoiled.is_certain is is_certain


@pytest.mark.parametrize("ids", [None, r"R\d+", r"[A-Z]{2,4}-\d{3}", r"(?:REQ|FR)-[1-9][0-9]*"])
def test_a_specimen_of_a_document_has_ids_like_those_that_are_wanted(ids: str | None) -> None:
    options = DOCUMENT.options(path="docs/{change}.md", sections=("Goal", "Requirements"), ids=ids)

    [(path, text)] = DOCUMENT.specimen(options, tree()).items()

    assert path == "docs/c0.md"
    assert judge_document(text.decode(), path, options).new == ()


def test_a_specimen_of_a_document_is_not_made_where_no_example_of_an_id_is_known() -> None:
    options = DOCUMENT.options(path="plan.md", sections=("Goal",), ids=r"(?=.*7)[A-Z0-9]{4}-\d+")

    assert DOCUMENT.specimen(options, tree()) == {}


@pytest.mark.parametrize("patch", [b"", b"no patch", CANARY.replace("+BAD", "-BAD").encode()])
def test_a_patch_that_does_not_apply_is_refused(tmp_path: Path, patch: bytes) -> None:
    bench = Bench(tmp_path, KINDS["compile"])

    with pytest.raises(PatchRefused, match="does not apply"):
        bench.maker.specimen(bench.project.base).patched(patch)


def test_what_is_planted_keeps_the_rest_of_the_tree(tmp_path: Path) -> None:
    bench = Bench(tmp_path, KINDS["compile"])
    store, base = bench.maker.store, bench.project.base

    made = bench.maker.commit(base, {"calc.py": SYNTAX_ERROR, "new/a.txt": b"\xff\x00", "tests/test_calc.py": None})

    assert {change.path for change in store.changes(base, made)} == {"calc.py", "new/a.txt", "tests/test_calc.py"}
    assert store.read(made, "new/a.txt", 10) == b"\xff\x00"
    assert bench.maker.commit(base, {}) == base


def test_nothing_is_planted_in_what_is_too_large_to_be_source(tmp_path: Path) -> None:
    bench = Bench(tmp_path, KINDS["compile"])
    made = bench.maker.commit(bench.project.base, {"data.py": b"#" * 5_000_001})

    found = bench.maker.specimen(made)

    assert "data.py" not in found.paths
    assert found.read("data.py") is None
