"""The policy of a commit: where it comes from, what its digest covers, and the plan that follows from it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping

import pytest
from pydantic import ValidationError

from gatewright.gates.policies.pipeline_gates import Kinds
from gatewright.gates.policy import (
    Policy,
    PolicyInvalid,
    PolicyMissing,
    land_gates_of,
    load_policy,
    parse_pipeline,
    plan_of,
)

FILE = """\
version: 1
target: main
stages:
  plan:
    writes: ["docs/{change}.md"]
    gates: [{document: {path: "docs/{change}.md", sections: [Goal]}}]
  code:
    needs: [plan]
    attempts: 5
    otherwise: {reopen: plan}
    gates: [compile, test, {command: {run: "python ci/check.py"}}]
land: {needs: [code]}
"""
TREE = {
    "gatewright.yaml": FILE,
    "ci/check.py": "import sys\n",
    "src/a.py": "a = 1\n",
    "pyproject.toml": "[project]\nname = 'x'\n[tool.ruff]\nline-length = 100\n",
    "tests/conftest.py": "",
    "setup.cfg": "[metadata\nbroken",
}


class Tree:
    """A commit made of texts."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.files = {path: text.encode() for path, text in texts.items()}

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def paths(self) -> Iterable[tuple[str, str]]:
        return [(path, hashlib.sha1(data).hexdigest()) for path, data in self.files.items()]

    def links(self) -> Mapping[str, str]:
        return {}


def load(texts: dict[str, str], kinds: Kinds, *, commit: str = "a" * 40) -> Policy:
    return load_policy(Tree(texts), commit=commit, target_recorded="main", kinds=kinds)


def test_a_commit_without_the_file_has_no_policy(kinds: Kinds) -> None:
    with pytest.raises(PolicyMissing, match=r"'main' has no gatewright\.yaml at commit aaaaaaaaaa$"):
        load({"README.md": ""}, kinds)


def test_a_file_that_names_another_branch_than_the_recorded_one_is_no_policy(kinds: Kinds) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load({"gatewright.yaml": FILE.replace("target: main", "target: dev")}, kinds)

    assert str(caught.value) == (
        "gatewright.yaml:2: target: target is 'dev', but this repository was set up for 'main'; write 'target: main'"
    )


def test_a_policy_goes_through_json_unchanged(kinds: Kinds) -> None:
    policy = load(TREE, kinds)

    again = Policy.model_validate_json(policy.model_dump_json())

    assert again == policy
    assert again.is_protected("ci/check.py")


def test_a_policy_cannot_be_changed_or_extended(kinds: Kinds) -> None:
    policy = load(TREE, kinds)

    with pytest.raises(ValidationError):
        policy.digest = "other"
    with pytest.raises(ValidationError):
        Policy.model_validate({**policy.model_dump(), "waived": True})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("src/a.py", "a = 2\n"),
        ("src/new.py", ""),
        ("pyproject.toml", "[project]\nname = 'y'\n[tool.ruff]\nline-length = 100\n"),
        ("gatewright.yaml", "# a comment\n" + FILE),
        ("gatewright.yaml", FILE.replace("target: main", "target: main\nworkspace: here")),
    ],
)
def test_the_digest_stays_when_nothing_that_a_gate_is_run_by_changes(path: str, text: str, kinds: Kinds) -> None:
    assert load({**TREE, path: text}, kinds).digest == load(TREE, kinds, commit="b" * 40).digest


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("gatewright.yaml", FILE.replace("attempts: 5", "attempts: 6")),
        ("gatewright.yaml", FILE.replace("[compile, test,", "[compile,")),
        ("gatewright.yaml", FILE.replace("target: main", "target: main\nprotect: [LICENSE]")),
        ("ci/check.py", "sys.exit(0)\n"),
        ("tests/conftest.py", "collect_ignore_glob = ['*']\n"),
        ("sub/conftest.py", ""),
        ("pyproject.toml", "[project]\nname = 'x'\n[tool.ruff]\nline-length = 300\n"),
        ("setup.cfg", "[metadata\nbroken otherwise"),
        ("tox.ini", "[pytest]\n"),
    ],
)
def test_the_digest_changes_with_whatever_decides_a_verdict(path: str, text: str, kinds: Kinds) -> None:
    assert load({**TREE, path: text}, kinds).digest != load(TREE, kinds).digest


@pytest.mark.slow
def test_every_process_finds_the_same_digest() -> None:
    """A digest that followed the order of a set would re-pin every change whenever the server starts again."""
    program = (
        "from gatewright.gates.policy import load_policy\n"
        "class Tree:\n"
        "    files = {'gatewright.yaml': TEXT, 'ci/a': b'', 'ci/b': b'', 'b/c.py': b'', 'Makefile': b''}\n"
        "    read = files.get\n"
        "    def paths(self): return [(path, 'blob') for path in self.files]\n"
        "    def links(self): return {}\n"
        "print(load_policy(Tree(), commit='c', target_recorded='main').digest)\n"
    )
    run = "make x && sh ci/a ci/b && python -m b.c && cd ci && python -m mypy && tox && npm test"
    text = f"TEXT = {FILE.replace('python ci/check.py', run).encode()!r}\n"

    digests = {
        subprocess.run(
            [sys.executable, "-c", text + program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(digests) == 1


def test_the_plan_has_needs_first_and_scope_before_every_gate(kinds: Kinds) -> None:
    backwards = FILE.replace("stages:\n", "stages:\n  last: {needs: [code], gates: [test]}\n")
    plan = plan_of(parse_pipeline(backwards.replace("{needs: [code]}\n", "{needs: [last]}\n"), kinds=kinds))

    assert [rule.name for rule in plan.stages] == ["plan", "code", "last"]
    assert [rule.gates for rule in plan.stages] == [
        ("scope", "document"),
        ("scope", "compile", "test", "command"),
        ("scope", "test"),
    ]
    assert [(rule.attempts, rule.otherwise) for rule in plan.stages] == [
        (3, None),
        (5, "plan"),
        (3, None),
    ]
    assert (plan.land_needs, plan.lease_s) == (("last",), 900.0)


def gates_at_landing(text: str, kinds: Kinds) -> list[str]:
    return [gate.name for gate in land_gates_of(parse_pipeline(text, kinds=kinds))]


def test_landing_runs_what_judges_a_whole_tree_once_from_all_stages(kinds: Kinds) -> None:
    more = FILE.replace(
        "  code:\n", "  lint: {needs: [code], gates: [test, ruff, {compile: {absolute: true}}]}\n  code:\n"
    )

    assert gates_at_landing(FILE, kinds) == ["compile", "test", "command"]
    assert gates_at_landing(more.replace("land: {needs: [code]}", "land: {needs: [lint]}"), kinds) == [
        *("test", "ruff", "compile"),
        *("code-compile", "command"),
    ]


def test_landing_runs_its_own_gates_when_it_names_them(kinds: Kinds) -> None:
    assert gates_at_landing(FILE.replace("{needs: [code]}\n", "{needs: [code], gates: [ruff]}\n"), kinds) == ["ruff"]


def test_landing_is_never_without_a_gate(kinds: Kinds) -> None:
    documents = "version: 1\ntarget: main\nstages:\n  code: {gates: [{document: {path: a.md, sections: [A]}}]}\n"

    assert gates_at_landing(documents + "land: {needs: [code]}\n", kinds) == ["scope"]
    with pytest.raises(PolicyInvalid, match=r"land.gates: is empty"):
        parse_pipeline(documents + "land: {needs: [code], gates: []}\n", kinds=kinds)


def test_the_names_of_the_land_gates_stay_apart_when_they_are_long(kinds: Kinds) -> None:
    name, stage = "n" * 32, "s" * 32
    stages = "".join(
        f"  {stage[:-1]}{letter}: {{needs: [{needs}], gates: [{{command: {{name: {name}, run: check-{letter}}}}}]}}\n"
        for letter, needs in [("a", ""), ("b", f"{stage[:-1]}a"), ("c", f"{stage[:-1]}b"), ("d", f"{stage[:-1]}c")]
    )
    text = f"version: 1\ntarget: main\nstages:\n{stages}land: {{needs: [{stage[:-1]}d]}}\n"

    names = gates_at_landing(text, kinds)

    assert len(set(names)) == 4
    assert all(len(each) <= 32 for each in names)
