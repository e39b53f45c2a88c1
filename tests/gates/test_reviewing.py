"""Reviews and approvals on top of a passed floor: who may judge, what counts, and what makes it void."""

from dataclasses import replace

import pytest

from gatewright.gates.machine import commands as c
from gatewright.gates.machine.approvals import open_approvals
from gatewright.gates.machine.evolve import replay
from gatewright.gates.machine.independence import as_compared, family
from gatewright.gates.machine.reviewing import open_reviews
from gatewright.schemas.plan import ApprovalRule, PolicyPin, ReviewRule, StageRule
from gatewright.schemas.records import Answered, AttemptState, Cause, Outcome, StageState
from gatewright.schemas.refusals import RefusalCode as Code

from .lifecycle_story import FAILED, LEASE_S, PASSED, PENDING, Story, code_of, remark, rule

PRINCIPAL = ReviewRule("peer", 1, "principal")
TWO = replace(PRINCIPAL, quorum=2)


def reviewed(*reviews: ReviewRule, attempts: int = 3) -> StageRule:
    return replace(rule("code", attempts=attempts), reviews=reviews or (PRINCIPAL,))


def in_review(*reviews: ReviewRule, model: str | None = None, attempts: int = 3) -> Story:
    """A story whose only stage has passed its floor, held by ada."""
    story = Story((reviewed(*reviews, attempts=attempts),))
    story.do(c.Claim("code", "ada", "stdio:ada", model))
    story.submit("code")
    story.settle("code", PASSED)
    assert story.state("code") is StageState.IN_REVIEW
    return story


# How many are needed


def test_a_floor_that_passed_waits_for_reviewers_and_their_quorum_passes_the_stage() -> None:
    story = in_review(TWO)

    assert story.review("code", "bob") is None
    assert story.state("code") is StageState.IN_REVIEW
    assert story.review("code", "eve") is None

    assert story.state("code") is StageState.PASSED
    assert story.record.landing is not None, "the last stage that passes starts the landing"
    attempt = story.stage("code").artifact
    assert attempt is not None
    assert {(g.gate, g.outcome) for g in attempt.gates} == {("scope", PASSED), ("test", PASSED), ("peer", PASSED)}
    assert replay(story.events) == story.record


def test_two_review_gates_need_two_reviewers_for_nobody_counts_twice() -> None:
    story = in_review(PRINCIPAL, replace(PRINCIPAL, gate="security"))

    story.review("code", "bob")

    assert story.claim_review("code", "bob") is Code.ALREADY_REVIEWED
    assert [rule.gate for rule in open_reviews(story.record, story.stage("code"))] == ["security"]
    story.review("code", "eve")
    assert story.state("code") is StageState.PASSED


def test_a_stage_passes_only_when_reviewers_and_people_have_all_answered() -> None:
    """Invariant I6."""
    story = Story((reviewed(PRINCIPAL),))
    story.attempt("code", PENDING)
    story.do(c.Answer("code", None, True, "person:eve", "fine"))
    assert story.state("code") is StageState.IN_REVIEW

    story.review("code", "bob")

    assert story.state("code") is StageState.PASSED


# What a rejection costs


def test_one_blocking_finding_fails_the_attempt_and_costs_budget() -> None:
    story = in_review(TWO)
    story.review("code", "bob")

    story.review("code", "eve", remark("f1"))

    stage = story.stage("code")
    assert (stage.state, stage.failed) == (StageState.CLAIMED, 1)
    assert stage.current is not None
    assert (stage.current.state, stage.current.outcome) == (AttemptState.FAILED, Outcome.FAILED)
    assert stage.current.fingerprints == ("fp-f1",)
    assert stage.current.review_leases == ()
    assert replay(story.events) == story.record


def test_who_handed_the_same_in_before_reviews_and_approves_it_for_nobody() -> None:
    """Invariant I5: regression, the maker of a commit let somebody else hand it in and reviewed it."""
    story = in_review()
    story.do(c.Release("code", 1, c.Because.WITHDRAW, "wait"))
    story.do(c.Release("code", 1, c.Because.DONE_FOR_NOW, "yours"))
    story.claim("code", "bob")
    story.submit("code", "t1")
    story.settle("code", PASSED)

    assert story.claim_review("code", "ada") is Code.OWN_WORK
    assert story.claim_review("code", "bob") is Code.OWN_WORK
    assert story.claim_review("code", "eve") is None


def test_an_author_says_which_model_it_is_where_another_family_reviews() -> None:
    """Otherwise every family would count as another than the author's."""
    story = Story((reviewed(replace(PRINCIPAL, independence="family")),))

    assert story.refused(c.Claim("code", "ada", "stdio:ada")) is Code.BAD_ARGUMENT
    assert story.refused(c.Claim("code", "ada", "stdio:ada", "claude-5")) is None


def test_a_budget_that_reviewers_spend_asks_people() -> None:
    story = in_review(attempts=2)
    story.review("code", "bob", remark("f1"))
    story.submit("code", "t2", *story.fixed("f1"))
    story.settle("code", PASSED)
    story.review("code", "bob", remark("f2"))

    assert story.state("code") is StageState.ESCALATED
    assert story.stage("code").escalation is not None
    assert story.stage("code").escalation.cause is Cause.BUDGET_SPENT  # type: ignore[union-attr]  # asserted above


@pytest.mark.parametrize("severity", ["minor", "note"])
def test_findings_that_do_not_block_let_the_review_count(severity: str) -> None:
    story = in_review()

    story.review("code", "bob", remark("f1", severity))

    assert story.state("code") is StageState.PASSED


def test_the_same_objection_three_times_running_is_no_progress() -> None:
    """Rule 5 holds for reviewers as for gates."""
    story = in_review(attempts=9)
    for number in range(3):
        story.review("code", f"bob{number}", remark("f1"))
        if number < 2:
            story.submit("code", f"t{number + 2}", *story.fixed("f1"))
            story.settle("code", PASSED)

    escalation = story.stage("code").escalation
    assert escalation is not None
    assert escalation.cause is Cause.NO_PROGRESS


# Who counts


@pytest.mark.parametrize(
    ("independence", "reviewer", "principal", "model", "code"),
    [
        ("principal", "bob", "stdio:ada", "gpt-5", Code.OWN_WORK),
        ("principal", "ada", "stdio:other", "claude-5", None),
        ("agent", "bob", "stdio:ada", None, Code.OWN_WORK),
        ("agent", "ada", "stdio:other", None, Code.OWN_WORK),
        ("agent", "Ada ", "stdio:other", None, Code.OWN_WORK),
        ("agent", "bob", "stdio:bob", "claude-5", None),
        ("family", "bob", "stdio:bob", None, Code.BAD_ARGUMENT),
        ("family", "bob", "stdio:bob", "anthropic/claude-haiku", Code.OWN_WORK),
        ("family", "ada", "stdio:bob", "gpt-5", Code.OWN_WORK),
        ("family", "bob", "stdio:bob", "gpt-5", None),
    ],
)
def test_whoever_made_the_artifact_or_counts_as_the_same_does_not_review_it(
    independence: str, reviewer: str, principal: str, model: str | None, code: Code | None
) -> None:
    """Invariant I5. The author is agent 'ada' of stdio:ada, declared as claude-5."""
    story = in_review(replace(PRINCIPAL, independence=independence), model="claude-5")

    assert story.refused(c.ClaimReview("code", reviewer, principal, model)) is code


@pytest.mark.parametrize(
    ("independence", "reviewer", "model", "code"),
    [
        ("principal", "bob", "gpt-5", None),
        ("agent", "bob", "gpt-5", Code.ALREADY_REVIEWED),
        ("agent", "eve", "gpt-5", None),
        ("family", "eve", "openai/gpt-4o", Code.ALREADY_REVIEWED),
        ("family", "eve", "gemini-3", None),
    ],
)
@pytest.mark.parametrize("is_given", [True, False], ids=["has judged", "is about to"])
def test_nobody_counts_twice_for_one_artifact(
    independence: str, reviewer: str, model: str, code: Code | None, *, is_given: bool
) -> None:
    """Invariant I5. The first is 'bob' of stdio:first with gpt-5, the second another principal."""
    story = in_review(replace(TWO, independence=independence), model="claude-5")
    story.do(c.ClaimReview("code", "bob", "stdio:first", "gpt-5"))
    if is_given:
        story.give("code", 1)

    assert story.refused(c.ClaimReview("code", reviewer, "stdio:second", model)) is code


def test_one_who_comes_back_late_under_another_connection_does_not_count_twice() -> None:
    story = in_review(replace(TWO, independence="agent"))
    story.do(c.ClaimReview("code", "bob", "stdio:first"))
    story.wait(LEASE_S + 1)
    assert story.refused(c.ClaimReview("code", "bob", "stdio:second")) is None
    assert story.give("code", 2) is None

    assert story.give("code", 1) is Code.ALREADY_REVIEWED
    assert story.state("code") is StageState.IN_REVIEW


def test_a_reviewer_takes_the_first_free_seat_that_it_counts_for() -> None:
    story = in_review(replace(PRINCIPAL, gate="other-family", independence="family"), PRINCIPAL, model="claude-5")

    assert story.refused(c.ClaimReview("code", "bob", "stdio:bob")) is None

    (lease,) = story.review_leases("code")
    assert lease.gate == "peer"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("claude-opus-4", "claude"),
        ("anthropic/Claude-Haiku", "claude"),
        ("us.anthropic.claude-3-5-sonnet-v2:0", "claude"),
        ("gpt-5.1", "gpt"),
        ("7", None),
        ("", None),
        (None, None),
    ],
)
def test_the_family_of_a_model_is_the_first_word_that_names_no_vendor(model: str | None, name: str | None) -> None:
    assert family(model) == name


# Seats


@pytest.mark.parametrize("other", ["ann ", "Ann", "a-n-n", "\uff41nn", "an\u200bn"])
def test_a_name_written_otherwise_is_no_other_name(other: str) -> None:
    assert as_compared(other) == as_compared("ann")


@pytest.mark.parametrize(("one", "other"), [("ann", "anna"), ("agent-1", "agent-2"), ("!", "?")])
def test_names_that_differ_by_more_are_two(one: str, other: str) -> None:
    assert as_compared(one) != as_compared(other)


def test_as_many_may_review_at_once_as_are_still_needed() -> None:
    story = in_review(TWO)
    story.claim_review("code", "bob")
    story.claim_review("code", "eve")

    assert story.claim_review("code", "kim") is Code.LEASE_HELD
    story.do(c.ReleaseReview("code", 1, "no time"))
    assert story.claim_review("code", "kim") is None
    assert [lease.number for lease in story.review_leases("code")] == [2, 3], "numbers are never reused"


def test_a_review_lease_that_expired_frees_its_seat_and_its_holder_may_still_judge() -> None:
    """Expiry alone takes nothing away (rule 1)."""
    story = in_review(TWO)
    story.claim_review("code", "bob")
    story.claim_review("code", "eve")
    story.wait(LEASE_S)
    assert story.claim_review("code", "kim") is None
    assert story.claim_review("code", "lee") is None

    assert story.give("code", 1) is None
    assert story.give("code", 2) is None

    assert story.state("code") is StageState.PASSED
    assert story.give("code", 3) is Code.REVIEW_STALE


def test_claiming_again_renews_a_review_lease_whose_seat_is_still_free() -> None:
    story = in_review()
    story.claim_review("code", "bob")
    story.wait(LEASE_S + 1)

    assert story.claim_review("code", "bob") is None

    (lease,) = story.review_leases("code")
    assert lease.number == 1
    assert lease.expires_at > story.now


def test_no_call_brings_an_expired_review_lease_back_once_its_seat_is_taken() -> None:
    """At most as many live ones as the quorum still needs."""
    story = in_review()
    story.claim_review("code", "bob")
    story.wait(LEASE_S + 1)
    story.claim_review("code", "eve")

    assert story.claim_review("code", "bob") is Code.LEASE_HELD
    assert story.refused(c.RenewReview("code", 1)) is None

    assert [lease.number for lease in story.review_leases("code") if lease.expires_at > story.now] == [2]


def test_reviewing_moves_no_fence_and_leaves_the_lease_of_the_author_alone() -> None:
    story = in_review()
    before = story.stage("code")

    story.claim_review("code", "bob")
    story.wait(LEASE_S * 2)
    story.give("code", 1, remark("f1"))

    after = story.stage("code")
    assert after.fence == before.fence
    assert after.lease is not None
    assert after.lease.expires_at > story.now, "a failure gives the holder a whole lease time to mend it"


# What makes a review void


@pytest.mark.parametrize("way", ["withdraw", "reopen", "cancel", "repin", "rejected by another"])
def test_a_review_of_an_attempt_that_is_void_counts_for_nothing(way: str) -> None:
    story = Story((rule("plan"), replace(reviewed(TWO), needs=("plan",)))).passed("plan")
    story.attempt("code", PASSED)
    story.claim_review("code", "bob")
    story.claim_review("code", "eve")
    expected = Code.REVIEW_STALE
    match way:
        case "withdraw":
            story.do(c.Release("code", 1, c.Because.WITHDRAW, "wait"))
        case "reopen":
            story.do(c.Reopen("plan", "person:kim", "wrong"))
        case "cancel":
            story.do(c.Cancel("person:kim", "no"))
            expected = Code.CHANGE_OVER
        case "repin":
            story.do(c.Repin(PolicyPin("q" * 40, "other"), story.record.plan, "new policy"))
        case _:
            story.give("code", 2, remark("f1"))

    assert story.give("code", 1) is expected
    assert story.refused(c.RenewReview("code", 1)) is expected
    assert story.refused(c.ReleaseReview("code", 1, "bye")) is expected
    assert story.review_leases("code") == ()


def test_a_review_lease_of_a_former_attempt_does_not_judge_the_next_one() -> None:
    """Invariant I5: it counts only for the commit that it names."""
    story = in_review()
    story.claim_review("code", "bob")
    story.do(c.Release("code", 1, c.Because.WITHDRAW, "wait"))
    story.submit("code", "t2")
    story.settle("code", PASSED)

    assert story.give("code", 1) is Code.REVIEW_STALE
    assert story.claim_review("code", "bob") is None
    assert story.give("code", 2) is None


def test_a_review_that_found_nothing_and_says_not_what_it_looked_at_is_inconsistent() -> None:
    story = in_review()
    story.claim_review("code", "bob")

    assert story.refused(c.GiveReview("code", 1, (), ())) is Code.REVIEW_INCONSISTENT
    assert story.give("code", 1) is None


def test_there_is_nothing_to_review_where_no_reviewer_is_awaited() -> None:
    story = Story((reviewed(),))

    assert story.claim_review("code", "bob") is Code.BAD_ARGUMENT
    story.claim("code")
    assert story.claim_review("code", "bob") is Code.LEASE_HELD
    story.submit("code")
    assert story.claim_review("code", "bob") is Code.STAGE_EVALUATING
    story.settle("code", PASSED)
    story.review("code", "bob")
    assert story.claim_review("code", "eve") is Code.STAGE_PASSED


# Answering reviewers


def test_what_reviewers_object_to_is_answered_with_the_next_attempt() -> None:
    """Rule 6. A mere note needs no answer."""
    story = in_review()
    story.review("code", "bob", remark("f1"), remark("f2", "minor"), remark("f3", "note"))

    assert code_of(story.submit("code", "t2")) is Code.FINDINGS_UNANSWERED
    assert code_of(story.submit("code", "t2", *story.fixed("f1"))) is Code.FINDINGS_UNANSWERED
    assert story.submit("code", "t2", *story.fixed("f1", "f2")) is None

    current = story.stage("code").current
    assert current is not None
    assert [a.finding for a in current.answers] == ["f1", "f2"]


def test_taking_the_next_attempt_back_does_not_spare_the_answers() -> None:
    story = in_review()
    story.review("code", "bob", remark("f1"))
    story.submit("code", "t2", *story.fixed("f1"))
    story.do(c.Release("code", 1, c.Because.WITHDRAW, "wait"))

    assert code_of(story.submit("code", "t3")) is Code.FINDINGS_UNANSWERED


def test_an_unchanged_tree_that_disputes_every_objection_goes_to_the_reviewers_again() -> None:
    """Rule 6: a dispute of a review is for reviewers, not for people."""
    story = in_review()
    story.review("code", "bob", remark("f1"), remark("f2", "minor"))

    assert code_of(story.submit("code", "t1", *story.disputed("f1"), *story.fixed("f2"))) is Code.UNCHANGED_ARTIFACT
    assert story.submit("code", "t1", *story.disputed("f1", "f2")) is None
    assert story.state("code") is StageState.EVALUATING
    story.settle("code", PASSED)
    story.review("code", "bob")
    assert story.state("code") is StageState.PASSED


def test_an_unchanged_tree_that_disputes_the_floor_goes_to_a_person_though_reviewers_are_named() -> None:
    story = Story((reviewed(),))
    story.attempt("code", FAILED, "t1", "x")
    again = c.Submit("code", 1, "k", "t1", "b", "no", tuple(story.disputed("g1")), open_findings=("g1",))

    assert story.refused(again) is None

    assert story.state("code") is StageState.ESCALATED


# Approvals


def approved(*rules: ApprovalRule, minimum: int = 1) -> Story:
    rules = rules or (ApprovalRule("sign", minimum),)
    names = tuple(r.gate for r in rules)
    story = Story((replace(rule("code"), gates=("scope", "test", *names), approvals=rules),))
    story.claim("code")
    story.submit("code")
    story.settle("code", PASSED, asks=names)
    assert story.state("code") is StageState.IN_REVIEW
    return story


def test_an_approval_gate_passes_with_as_many_people_as_it_wants() -> None:
    story = approved(minimum=2)

    assert story.approve("code", "kim") is None
    assert open_approvals(story.record, story.stage("code")) == ("sign",)
    assert story.approve("code", "kim") is Code.ALREADY_APPROVED
    assert story.approve("code", "lee") is None

    assert story.state("code") is StageState.PASSED
    assert replay(story.events) == story.record


def test_a_person_may_approve_by_two_gates_each_of_which_wants_one() -> None:
    story = approved(ApprovalRule("sign", 1), ApprovalRule("legal", 1))

    story.approve("code", "kim")
    story.approve("code", "kim")

    assert story.state("code") is StageState.PASSED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"commit": "another"}, Code.QUESTION_STALE),
        ({"target": "release"}, Code.QUESTION_STALE),
        ({"person": "stdio:ada"}, Code.OWN_WORK),
        ({"person": "stdio:ada", "commit": "another"}, Code.OWN_WORK),
        ({"person": "person:kim", "commit": "another"}, Code.ALREADY_APPROVED),
        ({"gate": "test"}, Code.BAD_ARGUMENT),
        ({"stage": "nowhere"}, Code.UNKNOWN_STAGE),
    ],
)
def test_an_approval_names_commit_and_target_and_is_not_the_authors(change: dict[str, str], code: Code) -> None:
    """In the order of the codes; kim has approved already, of two."""
    story = approved(minimum=2)
    story.approve("code", "kim")
    given = c.Approve("code", None, "person:lee", "secret", "commit-t1", "main", True, "")

    assert story.refused(replace(given, **change)) is code  # type: ignore[arg-type]  # fields of Approve - all texts


def test_a_person_who_does_not_approve_fails_the_attempt_with_the_reason() -> None:
    story = approved(minimum=2)
    story.approve("code", "kim")

    assert story.approve("code", "kim", is_given=False, note="on second thoughts") is None

    stage = story.stage("code")
    assert (stage.state, stage.failed) == (StageState.CLAIMED, 1)
    assert stage.notes[-1].text == "on second thoughts"


def test_an_answer_cannot_stand_in_for_an_approval() -> None:
    story = approved()

    assert story.refused(c.Answer("code", None, True, "person:kim", "")) is Code.BAD_ARGUMENT
    assert story.refused(c.Answer("code", "sign", True, "person:kim", "")) is Code.BAD_ARGUMENT


def test_after_reopening_an_approval_is_void() -> None:
    story = approved()
    story.approve("code", "kim")
    story.do(c.Reopen("code", "person:kim", "again"))
    story.claim("code")
    story.submit("code", "t1")
    story.settle("code", PASSED, asks=("sign",))

    assert story.state("code") is StageState.IN_REVIEW
    current = story.stage("code").current
    assert current is not None
    assert current.approvals == ()


# What may be judged again


def test_a_former_artifact_made_from_what_has_changed_is_not_judged_again_under_a_new_policy() -> None:
    """Invariants I1 and I7: `plan` became another meanwhile, and `code` was made from the old one."""
    story = Story().passed("plan", "code")
    story.do(c.Repin(PolicyPin("q" * 40, "second"), story.record.plan, "new policy"))
    story.settle("plan", FAILED, "x")
    story.attempt("plan", PASSED, "t2")

    stage = story.stage("code")
    assert (stage.state, stage.carried) == (StageState.OPEN, 1)
    assert len(stage.attempts) == 1


def test_gates_are_not_retried_on_what_was_made_from_another_input() -> None:
    """A question is kept while the stage before it changes."""
    story = Story().passed("plan")
    story.attempt("code", FAILED, "t1", "x")
    story.do(c.Release("code", 1, c.Because.NEEDS_DECISION, "which?"))
    story.do(c.Reopen("plan", "person:kim", "again"))
    story.attempt("plan", PASSED, "t2")
    assert story.state("code") is StageState.ESCALATED

    assert story.refused(c.RetryGates("code", "person:kim")) is Code.BAD_ARGUMENT


def test_what_is_judged_again_keeps_its_author_model_and_answers() -> None:
    """Otherwise a change of policy would let the author's own family review it."""
    family_rule = replace(PRINCIPAL, independence="family")
    story = in_review(family_rule, model="claude-5")
    story.do(c.ClaimReview("code", "bob", "stdio:bob", "gpt-5"))
    story.give("code", 1, remark("f1"))
    story.submit("code", "t2", Answered("f1", "fixed"))
    story.settle("code", PASSED)

    story.do(c.Repin(PolicyPin("q" * 40, "other"), story.record.plan, "new policy"))
    story.settle("code", PASSED)

    current = story.stage("code").current
    assert current is not None
    assert (current.is_free, current.model, current.answers) == (True, "claude-5", (Answered("f1", "fixed"),))
    assert story.refused(c.ClaimReview("code", "eve", "stdio:eve", "claude-6")) is Code.OWN_WORK
