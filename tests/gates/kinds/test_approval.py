"""The `approval` kind asks people about one commit, always, and nothing in a tree answers it."""

from pathlib import Path

import pytest

from gatewright.gates.policies.yaml_source import PolicyInvalid
from gatewright.gates.policy import parse_pipeline, plan_of
from gatewright.schemas.plan import ApprovalRule
from gatewright.schemas.records import Outcome

from .workbench import Project

PIPELINE = """\
version: 1
target: main
stages:
  code:
    goal: Make it.
    gates: [GATES]
land: {needs: [code]LAND}
"""


def pipeline(gates: str, land: str = "") -> bytes:
    return PIPELINE.replace("GATES", gates).replace("LAND", land).encode()


def test_it_asks_about_the_commit_and_the_target_whatever_is_in_the_tree(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile", {"approval": {"minimum": 2}}])
    commit = project.commit({"more.py": "x = 1\n", "approved": "yes\n"})

    evidence = project.judge(commit)["approval"]

    assert (evidence.outcome, evidence.counted, evidence.unit) == (Outcome.PENDING, 0, "approvals")
    assert evidence.question is not None
    assert commit in evidence.question
    assert "'main'" in evidence.question
    assert "2 people" in evidence.question


def test_it_is_a_gate_of_stages_and_of_landing() -> None:
    plan = plan_of(
        parse_pipeline(pipeline("test, {approval: {minimum: 2}}", ", gates: [test, {approval: {name: last}}]"))
    )

    assert plan.stages[0].approvals == (ApprovalRule("approval", 2),)
    assert "approval" in plan.stages[0].gates
    assert plan.land_approvals == (ApprovalRule("last", 1),)
    assert plan.land_gates == ("test", "last")


def test_a_stage_s_approval_is_not_asked_again_at_landing_unasked() -> None:
    plan = plan_of(parse_pipeline(pipeline("test, approval")))

    assert plan.land_gates == ("test",)
    assert plan.land_approvals == ()


@pytest.mark.parametrize(
    ("gates", "complaint"),
    [
        ("approval, approval", "two gates are named 'approval'"),
        ("{approval: {minimum: 0}}", "greater than or equal to 1"),
        ("{approval: {minimum: 10}}", "less than or equal to 9"),
        ("{approval: {minimum: true}}", "minimum"),
        ("{approval: {signers: 'keys/*'}}", "one file"),
        ("{approval: {signers: ../keys}}", "signers"),
        ("{approval: {by: ann}}", "by"),
    ],
)
def test_what_makes_no_sense_is_refused_at_load(gates: str, complaint: str) -> None:
    with pytest.raises(PolicyInvalid, match=complaint.replace("*", ".")):
        parse_pipeline(pipeline(f"test, {gates}"))


def test_several_approvals_in_one_stage_have_names_of_their_own() -> None:
    plan = plan_of(parse_pipeline(pipeline("{approval: {name: security}}, {approval: {name: product}}")))

    assert [rule.gate for rule in plan.stages[0].approvals] == ["security", "product"]


def test_who_may_sign_is_protected(tmp_path: Path) -> None:
    """Else an agent would add its own key."""
    project = Project(
        tmp_path, ["compile", {"approval": {"signers": "people/keys"}}], {"a.py": "", "people/keys": "x\n"}
    )

    found = project.judge(project.commit({"people/keys": "mine\n"}))

    assert found["scope"].outcome is Outcome.PENDING
    assert any(finding.path == "people/keys" for finding in found["scope"].findings)
