"""The suite itself: honest commits pass, and the list of bad ones is what it says it is."""

from collections import Counter

import pytest

from gatewright.schemas.records import Outcome

from .cases import CASES, Layer
from .controls import ALL_GATES, CONTROLS
from .judging import make
from .sandbox_cases import close_what_was_opened, victim_lives
from .suite import Judged, passed
from .workshop import Workshop

QUICK_CONTROLS = ("new_function_with_its_tests", "attributes_that_change_no_bytes_of_others")
CASES_MIN = 80
QUICK_PER_LAYER_MIN = 2


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK_CONTROLS else pytest.mark.slow) for name in CONTROLS]
)
def test_an_honest_commit_passes_every_gate(name: str, workshop: Workshop) -> None:
    made = CONTROLS[name](workshop)
    found = workshop.judge(workshop.bring(made if isinstance(made, str) else workshop.commit(made)), ALL_GATES)

    said = {gate: (one.outcome.value, one.summary, one.output[-300:]) for gate, one in found.items()}
    assert [gate for gate, one in found.items() if one.outcome is not Outcome.PASSED] == [], said


def test_the_list_is_long_enough_and_every_layer_is_on_it() -> None:
    layers = Counter(case.layer for case in CASES.values())
    quick = Counter(case.layer for case in CASES.values() if case.quick)

    assert sum(layers.values()) >= CASES_MIN
    assert min(layers[layer] for layer in Layer) >= 10, layers
    assert min(quick[layer] for layer in Layer) >= QUICK_PER_LAYER_MIN, quick


def test_every_case_says_what_it_tries_and_what_stops_it() -> None:
    for case in CASES.values():
        assert len(case.what) > 20, case.name
        stopping = [right for right in case.answers if not isinstance(right, Judged) or right.outcome != Outcome.PASSED]
        assert stopping, f"{case.name} names nothing that stops it"
    assert len({case.what for case in CASES.values()}) == len(CASES)


def test_only_what_docs_name_as_a_limit_gets_through_a_gate() -> None:
    """In-process tests can be faked; the black-box gate stops each of these commits."""
    faked = [case for case in CASES.values() if passed("test") in case.answers]

    assert faked
    assert all("blackbox" in case.gates for case in faked)
    assert not [
        c
        for c in CASES.values()
        for a in c.answers
        if isinstance(a, Judged) and a.outcome is Outcome.PASSED and a != passed("test")
    ]


@pytest.mark.slow
def test_every_bad_commit_has_a_tree_of_its_own(workshop: Workshop) -> None:
    """What is handed in differs from case to case; stories with agents and odd ids have none."""
    trees = Counter[str]()
    for case in CASES.values():
        if case.layer is Layer.PROTOCOL or case.is_alone:
            continue
        commit = make(case, workshop)
        if len(commit) == 40 and commit == commit.lower():
            trees[workshop.git("rev-parse", f"{commit}^{{tree}}")] += 1

    close_what_was_opened(workshop)
    victim_lives(workshop)
    assert [tree for tree, times in trees.items() if times > 1] == []
