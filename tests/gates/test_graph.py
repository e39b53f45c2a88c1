"""The order of stages, cycles and what a reopen reaches."""

import pytest

from gatewright.gates import graph

DIAMOND: graph.Needs = {"plan": (), "docs": ("plan",), "code": ("plan",), "check": ("docs", "code")}


def test_every_stage_comes_after_all_it_needs_whatever_the_order_in_the_file() -> None:
    backwards = dict(reversed(list(DIAMOND.items())))

    ordered = graph.order(backwards)

    assert sorted(ordered) == sorted(DIAMOND)
    assert all(ordered.index(need) < ordered.index(stage) for stage, needs in DIAMOND.items() for need in needs)


def test_stages_that_do_not_depend_on_each_other_keep_the_order_of_the_file() -> None:
    assert graph.order(DIAMOND) == ("plan", "docs", "code", "check")
    assert graph.order({"b": (), "a": (), "c": ("b",)}) == ("b", "a", "c")


@pytest.mark.parametrize(
    ("needs", "drawn"),
    [
        ({"a": ("a",)}, "a -> a"),
        ({"a": ("b",), "b": ("a",)}, "a -> b -> a"),
        ({"a": ("b",), "b": ("c",), "c": ("a",)}, "a -> b -> c -> a"),
        ({"start": (), "x": ("start", "y"), "y": ("start", "x")}, "x -> y -> x"),
        ({"leaf": ("x",), "x": ("y",), "y": ("x",)}, "x -> y -> x"),
    ],
)
def test_a_cycle_is_found_and_drawn_without_what_only_leads_to_it(needs: graph.Needs, drawn: str) -> None:
    cycle = graph.find_cycle(needs)

    assert cycle is not None
    assert graph.draw_cycle(cycle) == drawn


def test_a_graph_without_a_cycle_has_none_though_paths_meet_again() -> None:
    assert graph.find_cycle(DIAMOND) is None
    assert graph.find_cycle({}) is None


def test_a_chain_longer_than_the_recursion_limit_is_walked() -> None:
    chain: graph.Needs = {"s0": (), **{f"s{n}": (f"s{n - 1}",) for n in range(1, 3_000)}}

    assert graph.find_cycle(dict(reversed(list(chain.items())))) is None
    assert len(graph.upstream("s2999", chain)) == 2_999


def test_upstream_and_consumers_go_through_others_and_leave_the_stage_itself_out() -> None:
    assert graph.upstream("check", DIAMOND) == {"plan", "docs", "code"}
    assert graph.upstream("plan", DIAMOND) == frozenset()
    assert graph.consumers("plan", DIAMOND) == {"docs", "code", "check"}
    assert graph.consumers("docs", DIAMOND) == {"check"}


def test_only_stages_that_may_be_open_at_once_are_unordered() -> None:
    assert list(graph.unordered_pairs(DIAMOND)) == [("docs", "code")]
    assert list(graph.unordered_pairs({"a": (), "b": (), "c": ("a",)})) == [("a", "b"), ("b", "c")]
