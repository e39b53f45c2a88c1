"""`make effect` can be believed: agents err as said, the oracle stays hidden, figures turn red when gates are gone."""

import importlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gatewright.server.cli.demo_scratch import Scratch, write

EFFECT = Path(__file__).resolve().parent.parent / "examples/effect"
MODULES = ("tasks", "works", "draws", "project", "oracle", "journey", "judging", "figures", "arena", "run")

SEED = 7
DRAWS = 4_000
# Three standard deviations of a share of so many draws, at most.
TOLERANCE = 0.025
TASKS = 60

# The harness is scripts beside one another, without types that a test could know.
Effect = Any


@pytest.fixture(scope="module")
def effect() -> Iterator[Effect]:
    """The harness's modules by name."""
    known = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EFFECT))
        yield SimpleNamespace(**{name: _module(name) for name in MODULES})
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(EFFECT)):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("kind", "tried", "share"),
    [("independent", 0, 0.20), ("independent", 1, 0.20), ("correlated", 0, 0.45), ("correlated", 1, 0.68)],
)
def test_agents_err_as_often_as_they_are_said_to(effect: Effect, kind: str, tried: int, share: float) -> None:
    """20 % each time; 45 % at first and 68 % after a rejection, as the published log has it."""
    stage = effect.tasks.Stage.CODE
    drawn = [effect.draws.draw_work(SEED, n, effect.draws.Kind(kind), stage, tried) for n in range(DRAWS)]

    assert sum(work.flaw is not None for work in drawn) / DRAWS == pytest.approx(share, abs=TOLERANCE)
    assert not any(work.cheat for work in drawn)


def test_cheating_agents_cheat_every_other_time_and_in_every_way(effect: Effect) -> None:
    drawn = [
        effect.draws.draw_work(SEED, n, effect.draws.Kind.CHEATING, effect.tasks.Stage.CODE, 0) for n in range(DRAWS)
    ]
    cheats = [work.cheat for work in drawn if work.cheat]

    assert len(cheats) / DRAWS == pytest.approx(0.5, abs=TOLERANCE)
    assert set(cheats) == set(effect.draws.Cheat)
    assert all(work.flaw for work in drawn if work.cheat), "who cheats has something to hide"


def test_a_try_comes_out_the_same_in_every_arm(effect: Effect) -> None:
    """Nothing but its task and its number decides it, so that arms differ by their policy alone."""
    arguments = (SEED, 3, effect.draws.Kind.CORRELATED, effect.tasks.Stage.PLAN, 1)

    assert effect.draws.draw_work(*arguments) == effect.draws.draw_work(*arguments)


def test_reviewers_find_a_third_of_what_is_bad(effect: Effect) -> None:
    objects, stage = effect.draws.reviewer_objects, effect.tasks.Stage.CODE
    found = sum(objects(SEED, n, stage, 0, is_bad=True) for n in range(DRAWS))
    imagined = sum(objects(SEED, n, stage, 0, is_bad=False) for n in range(DRAWS))

    assert found / DRAWS == pytest.approx(1 / 3, abs=TOLERANCE)
    assert imagined / DRAWS == pytest.approx(0.03, abs=TOLERANCE)


def test_known_tests_refuse_each_wrong_known_number_and_let_each_hidden_one_through(effect: Effect) -> None:
    """What gates can see and what they cannot is a fact of the cases, and the oracle sees both."""
    right, known, hidden = (_programs(effect, flaw) for flaw in (None, "known", "hidden"))
    refused = effect.judging.refused_by_known_tests

    assert refused(right) == frozenset()
    assert refused(known) == frozenset(known)
    assert refused(hidden) == frozenset()
    assert not any(effect.oracle.broken_rules(right).values())
    assert all(broken & {"R1", "R2", "R3"} for broken in effect.oracle.broken_rules(known).values())
    assert all(broken == {"R4"} for broken in effect.oracle.broken_rules(hidden).values())


def test_a_program_that_only_knows_the_answers_fools_the_known_tests_and_not_the_oracle(effect: Effect) -> None:
    task = effect.tasks.make_task(SEED, 1)
    programs = {task: _file(effect, task, effect.draws.Cheat.KNOWS_THE_ANSWERS)}

    assert not effect.judging.refused_by_known_tests(programs)
    assert effect.oracle.broken_rules(programs)[task]


def test_a_program_that_prints_a_report_and_leaves_has_answered_nothing(effect: Effect) -> None:
    forger, honest = effect.tasks.make_task(SEED, 1), effect.tasks.make_task(SEED, 2)
    programs = {
        forger: _file(effect, forger, effect.draws.Cheat.FORGES_A_REPORT),
        honest: effect.tasks.program_text(honest.values, 1),
    }

    assert effect.judging.refused_by_known_tests(programs) == {forger}
    assert not effect.oracle.broken_rules(programs)[honest]


def test_nothing_that_gates_run_on_holds_the_oracle_or_a_case_that_only_it_knows(effect: Effect) -> None:
    tasks = [effect.tasks.make_task(SEED, number) for number in range(1, TASKS)]
    said = {line.strip() for line in (EFFECT / "oracle.py").read_text().splitlines() if len(line.strip()) > 40}
    for arm in effect.project.Arm:
        files = dict(effect.project.files(arm, tasks))
        assert all(
            name.startswith(("gatewright.yaml", "README.md", "checks/", "schemas/", "prices/")) for name in files
        )
        assert not any(line in text for text in files.values() for line in said)
        assert "oracle" not in "".join(files.values()).lower()
    assert all(
        case.order[0] > task.values.floor - 1 for task in tasks for case in effect.tasks.known_cases(task.values)
    )


def test_landings_are_judged_by_what_lies_on_the_target_branch(effect: Effect, tmp_path: Path) -> None:
    """Good, wrong as gates could see, wrong as they could not, and one that is right and altered a known test."""
    tasks = [effect.tasks.make_task(SEED, number) for number in range(1, 5)]
    good, seen, unseen, tampering = tasks
    scratch = _shop(effect, tmp_path, tasks)
    for task, flaw in ((good, None), (seen, "known"), (unseen, "hidden"), (tampering, None)):
        _land(effect, scratch, task, flaw, {effect.works.cases_path(task): "[]\n"} if task is tampering else {})

    worths = effect.judging.judge_landings(scratch, [_told(effect, task) for task in tasks])

    worth = effect.judging.Worth
    assert worths == {good: worth.GOOD, seen: worth.SEEN, unseen: worth.UNSEEN, tampering: worth.SEEN}


def test_a_plan_without_its_form_is_bad_as_gates_could_see_and_a_wrong_number_as_none_could(
    effect: Effect, tmp_path: Path
) -> None:
    task = effect.tasks.make_task(SEED, 1)
    scratch = _shop(effect, tmp_path, [task])
    path, plan = effect.works.plan_path(task), effect.tasks.plan_text(task.values, 1)
    told = _told(effect, task)
    for text in (plan, plan.replace("- R3: ", "- R2: "), plan.replace(f"{task.values.floor} cents", "1 cents")):
        write(scratch.repository, path, text)
        scratch.git("add", "--all")
        scratch.git("commit", "--quiet", "-m", "A plan")
        commit = scratch.git("rev-parse", "HEAD")
        told.tries.append(effect.journey.Try(effect.tasks.Stage.PLAN, effect.draws.Work(None), commit, "passed"))

    worth = effect.judging.Worth
    assert effect.judging.judge_handed_on(scratch, [told]) == {task: [worth.GOOD, worth.SEEN, worth.UNSEEN]}


@pytest.mark.parametrize(
    ("arm", "worth", "objects"),
    [
        ("gatewright", "SEEN", True),
        ("gates without loops", "SEEN", True),
        ("gatewright", "UNSEEN", False),
        ("no gates", "SEEN", False),
        ("no gates", "GOOD", True),
    ],
)
def test_a_wrong_landing_behind_gates_is_objected_to_and_so_is_a_comparison_that_shows_nothing(
    effect: Effect,
    arm: str,
    worth: str,
    objects: bool,
) -> None:
    told = _told(effect, effect.tasks.make_task(SEED, 1))
    outcome = effect.figures.Outcome(told, effect.judging.Worth[worth], [])

    assert bool(effect.figures.objections({effect.project.Arm(arm): [outcome]})) is objects


@pytest.mark.slow
def test_with_gates_nothing_wrong_lands_that_they_could_see_and_without_them_it_does(
    effect: Effect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tasks on a real server; then the arm of gatewright once more with its gates taken away."""
    arm, worth = effect.project.Arm, effect.judging.Worth
    tasks = [effect.tasks.make_task(SEED, number) for number in range(1, 5)]

    gated = effect.run.run_arm(arm.GATEWRIGHT, SEED, tasks, 2)
    assert any(tried.outcome == "failed" for outcome in gated for tried in outcome.told.tries), "something was wrong"
    assert any(outcome.landing is worth.GOOD for outcome in gated)
    assert effect.figures.objections({arm.GATEWRIGHT: gated}) == []

    monkeypatch.setattr(effect.project, "GATES", effect.project.NO_GATES)
    ungated = effect.run.run_arm(arm.GATEWRIGHT, SEED, tasks, 2)
    assert any(outcome.landing is worth.SEEN for outcome in ungated)
    assert effect.figures.objections({arm.GATEWRIGHT: ungated})


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def _programs(effect: Effect, flaw: str | None) -> dict[Any, str]:
    """The program of each task, with a flaw of its own each."""
    tasks = [effect.tasks.make_task(SEED, number) for number in range(1, TASKS)]
    return {task: effect.tasks.program_text(_values(effect, task, flaw), 1) for task in tasks}


def _values(effect: Effect, task: Any, flaw: str | None) -> Any:  # noqa: ANN401 - see Effect
    rng = random.Random(task.number)
    return task.values if flaw is None else effect.tasks.spoil(task.values, effect.tasks.Flaw(flaw), rng)


def _file(effect: Effect, task: Any, cheat: Any) -> str:  # noqa: ANN401 - see Effect
    """The program of an agent that cheats so."""
    draft = effect.works.Draft(task, effect.tasks.Stage.CODE, task.values, 1)
    work = effect.draws.Work(effect.tasks.Flaw.KNOWN, cheat)
    return str(effect.works.files_of(work, draft, random.Random(1))[effect.works.program_path(task)])


def _told(effect: Effect, task: Any) -> Any:  # noqa: ANN401 - see Effect
    return effect.journey.Told(task, effect.draws.Kind.INDEPENDENT, end="landed")


def _shop(effect: Effect, root: Path, tasks: list[Any]) -> Scratch:
    """The shop's repository before any change, without a server."""
    scratch = Scratch(root)
    scratch.repository.mkdir()
    for path, text in effect.project.files(effect.project.Arm.GATEWRIGHT, tasks):
        write(scratch.repository, path, text)
    scratch.git("init", "--quiet", "--initial-branch", "main")
    scratch.git("add", "--all")
    scratch.git("commit", "--quiet", "-m", "A small shop")
    return scratch


def _land(effect: Effect, scratch: Scratch, task: Any, flaw: str | None, also: dict[str, str]) -> None:  # noqa: ANN401 - of examples/
    """Merge a change as landings are, with its three artifacts."""
    folder = effect.works.folder(task)
    files = {
        effect.works.plan_path(task): effect.tasks.plan_text(task.values, 1),
        effect.works.approach_path(task): effect.tasks.design_text(1),
        f"{folder}/design.json": effect.tasks.design_data(task.values),
        effect.works.program_path(task): effect.tasks.program_text(_values(effect, task, flaw), 1),
        **also,
    }
    scratch.git("switch", "--quiet", "--create", task.change)
    for path, text in files.items():
        write(scratch.repository, path, text)
    scratch.git("add", "--all")
    scratch.git("commit", "--quiet", "-m", "Work")
    scratch.git("switch", "--quiet", "main")
    scratch.git("merge", "--quiet", "--no-ff", "-m", f"Land {task.change}: A price rule", task.change)
