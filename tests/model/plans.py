"""The pipelines that are searched: small enough that a search ends, and together with everything that stages have."""

from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.schemas.plan import ApprovalRule, Plan, ReviewRule, StageRule

LEASE_S = 900.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A plan with who takes part in it. `reviewers` and `people` are as many as the plan needs, in order.

    `extras` are what happens here beyond what always may: each multiplies the states.
    """

    name: str
    plan: Plan
    reviewers: tuple[str, ...] = ()
    people: tuple[str, ...] = ("eve",)
    extras: frozenset[str] = frozenset()


def stage(
    name: str,
    *needs: str,
    attempts: int = 1,
    otherwise: str | None = None,
    reopens: int = 0,
    is_run: bool = False,
    reviews: tuple[ReviewRule, ...] = (),
    approvals: tuple[ApprovalRule, ...] = (),
) -> StageRule:
    floor = ("scope", "run", "test") if is_run else ("scope", "test")
    return StageRule(
        name=name,
        needs=needs,
        gates=(*floor, *(rule.gate for rule in approvals)),
        attempts=attempts,
        otherwise=otherwise,
        reopens=reopens,
        role=None,
        is_transform=is_run,
        writes=(f"{name}/**",),
        reviews=reviews,
        approvals=approvals,
    )


def plan(stages: Sequence[StageRule], *, land_approvals: tuple[ApprovalRule, ...] = ()) -> Plan:
    gates = ("test", *(rule.gate for rule in land_approvals))
    return Plan(tuple(stages), (stages[-1].name,), gates, LEASE_S, land_approvals)


PEER = ReviewRule("peer", 1, "principal")
OWNER = ApprovalRule("owner", 1)


def diamond(*, reopens: int = 0, otherwise: str | None = None) -> tuple[StageRule, ...]:
    """Four stages, one reviewed and one approved."""
    return (
        stage("a", reopens=reopens),
        stage("b", "a", reviews=(PEER,)),
        stage("c", "a", approvals=(OWNER,)),
        stage("d", "b", "c", otherwise=otherwise),
    )


EVERYTHING = frozenset({"answers", "asks", "disputes", "errors", "grants", "retries"})

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("one stage", plan([stage("code", attempts=2)]), extras=EVERYTHING | {"orphans", "repin"}),
        Scenario(
            "one after the other",
            plan([stage("plan", reopens=1), stage("code", "plan", otherwise="plan")]),
            extras=frozenset({"errors", "repin", "retries", "shared files"}),
        ),
        Scenario(
            "made from an agent's",
            plan([stage("code", reopens=1), stage("docs", "code", otherwise="code", is_run=True)]),
            extras=EVERYTHING,
        ),
        Scenario(
            "made first",
            plan([stage("docs", reopens=1, is_run=True), stage("code", "docs", reopens=1)]),
            extras=frozenset({"errors", "asks"}),
        ),
        Scenario("made by the server alone", plan([stage("docs", reopens=1, is_run=True)]), extras=EVERYTHING),
        Scenario(
            "reviewed by two",
            plan([stage("code", reviews=(ReviewRule("peer", 2, "principal"),))]),
            reviewers=("rex", "sue"),
            extras=frozenset({"answers", "grants", "repin"}),
        ),
        Scenario(
            "adopted",
            plan([stage("code", reviews=(PEER,), approvals=(OWNER,))]),
            reviewers=("rex",),
            extras=frozenset({"adoption"}),
        ),
        Scenario(
            "approved by two",
            plan([stage("code", approvals=(ApprovalRule("owner", 2),))], land_approvals=(ApprovalRule("board", 2),)),
            people=("eve", "pat"),
            extras=frozenset({"repin", "retries"}),
        ),
        Scenario("diamond", plan(diamond()), reviewers=("rex",)),
        Scenario("diamond that loops", plan(diamond(reopens=1, otherwise="a")), reviewers=("rex",)),
        Scenario("diamond under errors", plan(diamond()), reviewers=("rex",), extras=frozenset({"errors"})),
    )
}
