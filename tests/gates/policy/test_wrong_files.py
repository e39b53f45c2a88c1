"""How a person is told what is wrong with their `gatewright.yaml`."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.gates.policies.pipeline_file import PROBLEMS_MAX, parse_pipeline
from gatewright.gates.policies.pipeline_gates import Kinds
from gatewright.gates.policies.yaml_source import PolicyInvalid

DEFAULT = (Path(__file__).parent / "default.yaml").read_text()


def with_stage(keys: str) -> str:
    return f"version: 1\ntarget: main\nstages:\n  code: {{{keys}}}\nland: {{needs: [code]}}\n"


def problems_of(text: str, kinds: Kinds) -> list[str]:
    with pytest.raises(PolicyInvalid) as caught:
        parse_pipeline(text, kinds=kinds)
    return str(caught.value).splitlines()


WRONG_FILES = [
    ("- a\n", "gatewright.yaml:1: a pipeline is keys and values; begin with 'version: 1'"),
    (
        DEFAULT.replace("version: 1", "version: 2"),
        "gatewright.yaml:1: version: version 2 is not read by this gatewright; write 'version: 1'",
    ),
    (
        DEFAULT.replace("target: main", "target: main\nworkspace: hear"),
        "gatewright.yaml:3: workspace: 'hear' is not among 'own' or 'here'; did you mean 'here'?",
    ),
    (
        DEFAULT.replace("target: main\n", ""),
        "gatewright.yaml:1: target: is missing; name the branch that finished changes land on",
    ),
    (
        DEFAULT.replace("target: main", "target: refs/heads/main"),
        "gatewright.yaml:2: target: 'refs/heads/main' is not a plain branch name; write it as in 'main'",
    ),
    (
        DEFAULT.replace("goal: Make", "gaol: Make"),
        "gatewright.yaml:13: stages.code: unknown key 'gaol'; did you mean 'goal'?",
    ),
    (
        DEFAULT.replace("strategy: merge", "strategy: octopus"),
        "gatewright.yaml:16: land.strategy: 'octopus' is not among 'merge', 'squash' or 'rebase'",
    ),
    (
        DEFAULT.replace("strategy: merge", "strategy: squish"),
        (
            "gatewright.yaml:16: land.strategy: 'squish' is not among 'merge', 'squash' or 'rebase'; "
            "did you mean 'squash'?"
        ),
    ),
    (
        DEFAULT.replace("[compile, ruff, test]", "[compile, ruff, tset]"),
        "gatewright.yaml:14: stages.code.gates[2]: unknown gate kind 'tset'; did you mean 'test'?",
    ),
    (
        DEFAULT.replace("[compile, ruff, test]", "[scope, test]"),
        (
            "gatewright.yaml:14: stages.code.gates[0]: 'scope' is always on and is not listed; "
            "'writes' of the stage says what it allows; remove it here"
        ),
    ),
    (
        DEFAULT.replace("sections: [Goal", "sectoins: [Goal"),
        "gatewright.yaml:10: stages.plan.gates[0].document: unknown key 'sectoins'; did you mean 'sections'?",
    ),
    (
        DEFAULT.replace("[compile, ruff, test]", "[test, {test: {runner: nose}}]"),
        "gatewright.yaml:14: stages.code.gates[1]: two gates are named 'test'; give one of them another 'name'",
    ),
    (
        DEFAULT.replace("[compile, ruff, test]", "[{ruff: {format: maybe}}]"),
        "gatewright.yaml:14: stages.code.gates[0].ruff.format: must be true or false, not 'maybe'",
    ),
    (
        DEFAULT.replace("[compile, ruff, test]", '[{command: {run: "mypy src || true"}}]'),
        (
            "gatewright.yaml:14: stages.code.gates[0].command.run: 'mypy src || true' cannot fail: "
            "it ends with success whatever its programs find; let the program that checks decide the exit status"
        ),
    ),
    (
        DEFAULT.replace("needs: [plan]", "needs: [plna]"),
        "gatewright.yaml:12: stages.code.needs[0]: unknown stage 'plna'; did you mean 'plan'?",
    ),
    (
        DEFAULT.replace("needs: [plan]", "needs: plan"),
        "gatewright.yaml:12: stages.code.needs: must be a list; write [plan]",
    ),
    (
        DEFAULT.replace('    writes: ["docs', '    needs: [code]\n    writes: ["docs'),
        (
            "gatewright.yaml:8: stages.plan.needs: the stages need each other in a circle: plan -> code -> plan; "
            "remove one of these needs"
        ),
    ),
    (
        DEFAULT.replace("    needs: [plan]\n", "").replace("needs: [code]", "needs: [code, plan]"),
        (
            "gatewright.yaml:11: stages.code.writes: '**' overlaps with 'docs/changes/{change}.md' of stage 'plan', "
            "and neither stage comes before the other; narrow 'writes' of one, or let one need the other"
        ),
    ),
    (
        DEFAULT.replace("land: {needs: [code]", "land: {needs: [plan]"),
        (
            "gatewright.yaml:11: stages.code: neither landing nor a stage that lands needs this stage: "
            "its work would never land; add 'code' to land.needs"
        ),
    ),
    (
        DEFAULT.replace("land: {needs: [code], strategy: merge}", "land: {strategy: merge}"),
        "gatewright.yaml:16: land.needs: is missing; name the stages that must have passed",
    ),
    (
        with_stage("gates: []"),
        "gatewright.yaml:4: stages.code.gates: is empty; a stage without gates would open itself; give it at least one",
    ),
    (
        with_stage("goal: x"),
        (
            "gatewright.yaml:4: stages.code.gates: is missing; "
            "a stage without gates would open itself; give it at least one"
        ),
    ),
    (
        with_stage("gates: [test], otherwise: {reopen: code}"),
        "gatewright.yaml:4: stages.code.otherwise.reopen: 'code' does not come before 'code'; 'code' needs no stage",
    ),
    (
        with_stage("gates: [test], otherwise: giveup"),
        "gatewright.yaml:4: stages.code.otherwise: must be 'escalate' or '{reopen: STAGE}'",
    ),
    (
        with_stage("gates: [test], writes: [src/]"),
        (
            "gatewright.yaml:4: stages.code.writes[0]: 'src/' names a directory and would match nothing; "
            "write 'src/**' for all that lies below it"
        ),
    ),
    (
        with_stage('gates: [test], writes: ["docs/{chnage}.md"]'),
        (
            "gatewright.yaml:4: stages.code.writes[0]: '{chnage}' is not substituted (only {change} and {stage} are); "
            "for a brace in the name of a file write '?'"
        ),
    ),
    (
        with_stage('gates: [test], writes: ["{src,tests}/**"]'),
        "gatewright.yaml:4: stages.code.writes[0]: '{src,tests}' is not expanded; write one glob for each alternative",
    ),
    (
        with_stage("gates: [test], writes: []"),
        (
            "gatewright.yaml:4: stages.code.writes: a stage that may write nothing cannot pass; "
            "name what it writes, or leave the key out for every file"
        ),
    ),
    (
        with_stage('gates: [test], run: make docs, writes: ["gen/**"], attempts: 2'),
        (
            "gatewright.yaml:4: stages.code.attempts: the server runs this stage, and running it again would give the "
            "same; remove it; `otherwise` says what a failure leads to"
        ),
    ),
    (
        with_stage('gates: [test], run: make docs, writes: ["gen/**"], role: writer'),
        "gatewright.yaml:4: stages.code.role: the server runs this stage: nobody claims it; remove it",
    ),
    (
        with_stage('gates: [{test: {name: run}}], run: make docs, writes: ["gen/**"]'),
        (
            "gatewright.yaml:4: stages.code.gates[0]: the name 'run' belongs to the gate that tells how the stage's "
            "own command ended"
        ),
    ),
    (
        with_stage("gates: [test], run: make docs"),
        (
            "gatewright.yaml:4: stages.code: what the server's command writes is committed, so the stage must say what "
            "that may be; add `writes`"
        ),
    ),
    (
        with_stage("gates: [test], network: true"),
        (
            "gatewright.yaml:4: stages.code.network: only a stage with `run` has a network of its own; "
            "give `network` to the gate that needs it"
        ),
    ),
    (
        with_stage('gates: [test], run: make docs || true, writes: ["gen/**"]'),
        (
            "gatewright.yaml:4: stages.code.run: 'make docs || true' cannot fail: it ends with success whatever its "
            "programs find; let the program that checks decide the exit status"
        ),
    ),
    (
        with_stage(
            'gates: [test], run: make docs, writes: ["gen/**"]}\n'
            "  more: {needs: [code], gates: [test], otherwise: {reopen: code}"
        ).replace("land: {needs: [code]}", "land: {needs: [more]}"),
        (
            "gatewright.yaml:5: stages.more.otherwise.reopen: the server runs 'code', and running it again would give "
            "the same; name a stage that an agent does"
        ),
    ),
    (
        with_stage("gates: [test]").replace("{needs: [code]}", "{needs: [code], strategy: rebase}"),
        "gatewright.yaml:5: land.strategy: the strategy 'rebase' is not in this version; write merge or squash",
    ),
    (
        with_stage("gates: [{test: {name: scope}}]"),
        "gatewright.yaml:4: stages.code.gates[0]: the name 'scope' belongs to the gate that is always on",
    ),
    (
        with_stage("gates: [{command: null, run: make}]"),
        (
            "gatewright.yaml:4: stages.code.gates[0]: the options of 'command' stand beside it; "
            "indent them below 'command:'"
        ),
    ),
    (
        with_stage("gates: [test], attempts: 0"),
        "gatewright.yaml:4: stages.code.attempts: must be greater than or equal to 1",
    ),
    (
        DEFAULT.replace("protect", "x").replace("target: main", 'target: main\nprotect: ["docs/{change}.md"]'),
        (
            "gatewright.yaml:3: protect[0]: '{change}' is not substituted (nothing is, here); "
            "for a brace in the name of a file write '?'"
        ),
    ),
    (
        DEFAULT.replace("keep: [.venv]", 'keep: [.venv], secrets: ["s3cr3t value"]'),
        (
            "gatewright.yaml:3: setup.secrets[0]: a secret is the name of an environment variable of the server, "
            "never its value"
        ),
    ),
    (
        DEFAULT.replace("target: main", "target: main\nlimits: {lease: 15x}"),
        "gatewright.yaml:3: limits.lease: '15x' is not a duration; write 90s, 15m or 1h",
    ),
    (
        DEFAULT.replace("  plan:\n", "  land:\n").replace("[plan]", "[land]"),
        "gatewright.yaml:6: stages.land: 'land' is the landing, not a stage; choose another name",
    ),
    (
        DEFAULT.replace("goal: Make the change with its tests.", "goal:"),
        "gatewright.yaml:13: stages.code.goal: has no value; fill it in or leave the key out",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG_FILES, ids=[sentence[16:60] for _, sentence in WRONG_FILES])
def test_what_is_wrong_is_told_once_with_file_line_key_and_remedy(text: str, sentence: str, kinds: Kinds) -> None:
    assert problems_of(text, kinds) == [sentence]


def test_a_stage_that_is_no_name_is_told_wherever_it_stands(kinds: Kinds) -> None:
    told = problems_of(DEFAULT.replace("  plan:\n", "  Plan:\n").replace("[plan]", "[Plan]"), kinds)

    rule = "'Plan' is not a name: lower-case letters, digits, '-' and '_', a letter first, at most 32"
    assert told == [f"gatewright.yaml:6: stages.Plan: {rule}", f"gatewright.yaml:12: stages.code.needs[0]: {rule}"]


def test_problems_of_every_sort_are_found_in_one_pass_in_the_order_of_the_file(kinds: Kinds) -> None:
    text = (
        "version: 1\ntaget: main\nlimits: {gate: no}\nstages:\n  plan: {gates: [tset]}\n"
        "  code:\n    needs: [plan, pln]\n    gates: [test]\n    gates: [ruff]\n"
    )

    told = problems_of(text, kinds)

    assert [int(re.findall(r":(\d+):", line)[0]) for line in told] == [1, 2, 3, 3, 5, 7, 9]


def test_a_misspelt_need_does_not_make_the_stages_seem_unordered(kinds: Kinds) -> None:
    told = problems_of(DEFAULT.replace("needs: [plan]", "needs: [paln]"), kinds)

    assert len(told) == 1


def test_globs_are_bounded_so_that_holding_them_against_each_other_ends(kinds: Kinds) -> None:
    def file(globs: int) -> str:
        names = [f"s{number}" for number in range(6)]
        writes = {name: [f"src/**/{name}/*a{glob}*.py" for glob in range(globs)] for name in names}
        stages = {name: {"gates": ["test"], "writes": writes[name]} for name in names}
        return json.dumps({"version": 1, "target": "main", "stages": stages, "land": {"needs": names}})

    assert len(parse_pipeline(file(50), kinds=kinds).stages) == 6
    assert problems_of(file(51), kinds) == [
        (
            "gatewright.yaml:1: stages: the stages write 306 globs; more than 300 are not held against each other; "
            "write fewer and wider ones"
        )
    ]


def test_problems_are_bounded(kinds: Kinds) -> None:
    text = "version: 1\n" + "".join(f"k{number}: 1\n" for number in range(500))

    assert len(problems_of(text, kinds)) == PROBLEMS_MAX


@pytest.mark.parametrize(
    "branch",
    ["-f", "a b", "a..b", "/a", "a/", "a//b", "HEAD", "refs/heads/a", "a.lock", "a@{1}", "a~1", "x:y", "@", ".a"],
)
def test_what_git_would_not_take_for_a_branch_is_no_target(branch: str, kinds: Kinds) -> None:
    assert "is not a plain branch name" in problems_of(DEFAULT.replace("target: main", f"target: '{branch}'"), kinds)[0]


WORDS = st.sampled_from(
    [
        "plan",
        "code",
        "land",
        "test",
        "command",
        "run",
        "gates",
        "needs",
        "writes",
        "**",
        "a/{change}",
        "src/",
        "x",
        "",
        "1",
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.floats(0, 2), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)
KEYS = {
    "top": ["version", "target", "protect", "setup", "install", "limits", "stages", "land"],
    "stage": ["needs", "role", "goal", "reads", "writes", "attempts", "otherwise", "reopens", "run", "gates"],
}


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from(KEYS["top"]), VALUES, max_size=4),
    st.dictionaries(st.sampled_from(KEYS["stage"]), VALUES, max_size=4),
)
def test_no_file_however_wrong_raises_anything_but_problems(
    kinds: Kinds, top: dict[str, object], stage: dict[str, object]
) -> None:
    stages = {"code": {"gates": ["test"], **stage}}
    text = json.dumps({"version": 1, "target": "main", "stages": stages, "land": {"needs": ["code"]}, **top})
    told = ""

    try:
        parse_pipeline(text, kinds=kinds)
    except PolicyInvalid as exc:
        told = str(exc)

    assert all(line.startswith("gatewright.yaml:1: ") for line in told.splitlines())
