"""The run is only worth what its judgement is: what is red here must be red there."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from .baseline import WIRE, Baseline, join, judge, read_baseline, unknown_entries
from .suite import Check, Status, read_checks

HERE = Path(__file__).resolve().parent
NONE = Baseline()
PING = Check("ping", "ping", Status.SUCCESS)


def check(scenario: str, status: Status, identity: str = "it") -> Check:
    return Check(scenario, identity, status, "because")


@pytest.mark.parametrize("status", [Status.FAILURE, Status.WARNING, Status.SKIPPED])
def test_only_a_success_is_a_pass(status: Status) -> None:
    (problem,) = judge([PING, check("ping", status)], NONE).problems

    assert problem == f"ping:it {status}: because"


def test_what_is_listed_may_fail_and_is_counted_by_itself() -> None:
    judgement = judge([PING, check("tasks", Status.FAILURE)], Baseline(expected={"tasks": "not served"}))

    assert judgement.problems == ()
    assert (judgement.scenarios, judgement.passed, judgement.expected) == (2, 1, 1)


@pytest.mark.parametrize("entry", ["tasks", "tasks:it"])
def test_what_is_listed_must_not_pass(entry: str) -> None:
    (problem,) = judge([PING, check("tasks", Status.SUCCESS)], Baseline(expected={entry: "not served"})).problems

    assert problem == f"{entry} passes, but is listed: not served"


def test_an_entry_for_one_check_excuses_no_other_of_its_scenario() -> None:
    checks = [check("tasks", Status.FAILURE, "one"), check("tasks", Status.FAILURE, "two"), check("tasks", Status.INFO)]

    (problem,) = judge(checks, Baseline(expected={"tasks:one": "not served"})).problems[:1]

    assert problem.startswith("tasks:two ")


def test_one_failure_of_a_check_that_runs_twice_is_a_failure() -> None:
    checks = [check("ping", Status.SUCCESS), check("ping", Status.FAILURE)]

    assert judge(checks, NONE).problems != ()
    assert judge(checks, Baseline(expected={"ping:it": "now and then"})).problems == ()


def test_what_was_not_asked_neither_passes_nor_fails() -> None:
    baseline = Baseline(not_asked={"tasks": "asks for another's tool", "ping:it": "likewise"})
    checks = [PING, check("tasks", Status.FAILURE), check("tasks", Status.SUCCESS), check("ping", Status.FAILURE)]

    judgement = judge(checks, baseline)

    assert judgement.problems == ()
    assert (judgement.scenarios, judgement.passed, judgement.expected) == (1, 1, 0)


@pytest.mark.parametrize("baseline", [Baseline(expected={"tasks": "no"}), Baseline(not_asked={"tasks": "no"})])
def test_no_entry_excuses_a_message_that_does_not_fit_the_protocol(baseline: Baseline) -> None:
    checks = [PING, check("tasks", Status.FAILURE), check("tasks", Status.FAILURE, WIRE)]

    (problem,) = judge(checks, baseline).problems

    assert problem.startswith(f"tasks:{WIRE} ")


def test_two_baselines_are_held_as_one() -> None:
    both = join([Baseline(expected={"tasks": "not served"}), Baseline(not_asked={"ping": "of HTTP"})])

    assert judge([check("ping", Status.FAILURE), check("tasks", Status.FAILURE)], both).problems == ()


def test_a_scenario_that_shows_nothing_is_wrong() -> None:
    checks = [PING, check("stream", Status.INFO), check("stream", Status.SUCCESS, WIRE)]

    assert judge(checks, NONE).problems == ("stream passed nothing",)


def test_an_entry_about_what_the_suite_does_not_have_is_named() -> None:
    baseline = Baseline(expected={"pong:it": "mistyped"}, not_asked={"ping": "fine"})

    assert list(unknown_entries(baseline, ["ping"])) == ["pong:it"]


@pytest.mark.parametrize("text", ["expected: {ping: ' '}", "expected: {ping: null}", "expected: [ping]"])
def test_no_entry_is_without_a_reason(text: str, tmp_path: Path) -> None:
    (tmp_path / "baseline.yaml").write_text(text)

    with pytest.raises((ValidationError, AssertionError)):
        read_baseline(tmp_path / "baseline.yaml")


def test_results_are_read_with_the_name_of_their_scenario(tmp_path: Path) -> None:
    folder = tmp_path / "server-tools-list-2026-11-22T20-08-45-390Z"
    folder.mkdir()
    (folder / "checks.json").write_text('[{"id": "x", "status": "FAILURE", "errorMessage": "no", "description": "d"}]')

    assert list(read_checks(tmp_path)) == [Check("tools-list", "x", Status.FAILURE, "no")]


def test_whatever_the_product_is_not_asked_the_fixture_is() -> None:
    product, fixture = read_baseline(HERE / "product.yaml"), read_baseline(HERE / "fixture.yaml")

    nobody = product.not_asked.keys() & fixture.not_asked.keys()
    assert nobody == {"input-required-result-ignore-extra-params"}
