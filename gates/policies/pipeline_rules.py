"""What must hold of a pipeline as a whole: names that exist, no circle, no two agents on one file, all work lands.

The rules read the file as it was written, not the models, so that they are told in the same pass as what is wrong with
the shapes; whatever has the wrong shape is passed over here, because it is told there.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ...schemas.pipeline import LABELS_MAX
from .. import graph
from ..paths import PLACEHOLDERS, check_glob, check_placeholders, overlap, substitute
from .pipeline_gates import run_problems
from .pipeline_shapes import nearest
from .pipeline_traces import trace_problems
from .yaml_source import KeyPath, PolicyProblem, Source

STAGES_MAX = 50
GLOBS_MAX = 100
# Of all stages together: each is held against each, and a check of the file must not take minutes.
WRITES_MAX = 300
LANDING = "land"
# The gate that tells how the command of a `run:` stage ended.
RUN = "run"

DEFAULT_WRITES = ("**",)
# The id of a change is not known yet; two globs are held against each other for this one.
SPECIMEN_CHANGE = "c1"

_NOT_IN_A_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|^[-./]|[./]$|\.lock(/|$)|^refs/|^HEAD$|^@$")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class _View:
    """What could be made out of the file; `needs` holds only stages that exist."""

    source: Source
    stages: Mapping[str, Mapping[str, object]]
    needs: graph.Needs
    land_needs: tuple[str, ...]


Rule = Callable[[_View], Iterator[PolicyProblem]]


def rule_problems(source: Source) -> list[PolicyProblem]:
    """What is wrong with the pipeline as a whole; rules that need an order are left out where there is none yet."""
    view = _view(source)
    problems = [problem for rule in _RULES for problem in rule(view)]
    cycle = graph.find_cycle(view.needs)
    if cycle is not None:
        message = f"the stages need each other in a circle: {graph.draw_cycle(cycle)}"
        problems.append(source.problem(("stages", cycle[0], "needs"), message, "remove one of these needs"))
    elif _needs_are_complete(view):
        problems += [problem for rule in _RULES_OF_ORDER for problem in rule(view)]
    return problems


def _view(source: Source) -> _View:
    stages = {name: stage for name, stage in _mapping(source.value, "stages").items() if isinstance(stage, dict)}
    needs = {name: tuple(need for need in _words(stage, "needs") if need in stages) for name, stage in stages.items()}
    land_needs = tuple(need for need in _words(_mapping(source.value, "land"), "needs") if need in stages)
    return _View(source, stages, needs, land_needs)


def _needs_are_complete(view: _View) -> bool:
    """Whether every need was understood: after a misspelt one, stages only seem to have no order."""
    held = [*((stage.get("needs", []), view.needs[name]) for name, stage in view.stages.items())]
    held.append((_mapping(view.source.value, "land").get("needs"), view.land_needs))
    return all(isinstance(written, list) and len(written) == len(understood) for written, understood in held)


def _target_is_a_branch(view: _View) -> Iterator[PolicyProblem]:
    target = view.source.value.get("target") if isinstance(view.source.value, dict) else None
    if isinstance(target, str) and _NOT_IN_A_BRANCH.search(target):
        yield view.source.problem(("target",), f"{target!r} is not a plain branch name", "write it as in 'main'")


def _stages_are_few_and_rightly_named(view: _View) -> Iterator[PolicyProblem]:
    if LANDING in view.stages:
        yield view.source.problem(("stages", LANDING), "'land' is the landing, not a stage", "choose another name")
    if len(view.stages) > STAGES_MAX:
        yield view.source.problem(("stages",), f"{len(view.stages)} stages are more than {STAGES_MAX}")


def _needs_exist(view: _View) -> Iterator[PolicyProblem]:
    lists = [(("stages", name, "needs"), stage) for name, stage in view.stages.items()]
    for path, holder in [*lists, (("land", "needs"), _mapping(view.source.value, "land"))]:
        for index, need in enumerate(_items(holder, "needs")):
            if isinstance(need, str) and need not in view.stages:
                hint = nearest(need, view.stages)
                yield view.source.problem((*path, index), f"unknown stage {need!r}", hint)


def _commands_can_fail(view: _View) -> Iterator[PolicyProblem]:
    for name, stage in view.stages.items():
        yield from run_problems(view.source, ("stages", name, "run"), stage.get("run"))


def _globs_are_well_formed(view: _View) -> Iterator[PolicyProblem]:
    setup = _mapping(view.source.value, "setup")
    held: list[tuple[KeyPath, Mapping[str, object], tuple[str, ...]]] = [
        ((), view.source.value if isinstance(view.source.value, dict) else {}, ()),
        (("setup",), setup, ()),
        *((("stages", name), stage, PLACEHOLDERS) for name, stage in view.stages.items()),
    ]
    for path, holder, placeholders in held:
        for key in ("protect", "key", "keep", "reads", "writes"):
            globs = _items(holder, key)
            if len(globs) > GLOBS_MAX:
                yield view.source.problem((*path, key), f"{len(globs)} globs are more than {GLOBS_MAX}")
            for index, glob in enumerate(globs):
                # What is kept of a setup is a folder as a rule, and people write folders with a slash.
                text = glob.rstrip("/") if isinstance(glob, str) and key == "keep" else glob
                complaint = _glob_complaint(text, placeholders) if isinstance(text, str) else None
                if complaint is not None:
                    yield view.source.problem((*path, key, index), complaint)


def _stages_may_write_something(view: _View) -> Iterator[PolicyProblem]:
    for name, stage in view.stages.items():
        if stage.get("writes") == []:
            hint = "name what it writes, or leave the key out for every file"
            yield view.source.problem(("stages", name, "writes"), "a stage that may write nothing cannot pass", hint)


def _secrets_are_variables(view: _View) -> Iterator[PolicyProblem]:
    for index, name in enumerate(_items(_mapping(view.source.value, "setup"), "secrets")):
        if isinstance(name, str) and not _VARIABLE.fullmatch(name):
            message = "a secret is the name of an environment variable of the server, never its value"
            yield view.source.problem(("setup", "secrets", index), message)


def _run_stages_have_what_concerns_them(view: _View) -> Iterator[PolicyProblem]:
    for name, stage in view.stages.items():
        path = ("stages", name)
        if not _is_run(stage):
            if stage.get("network"):
                hint = "give `network` to the gate that needs it"
                yield view.source.problem((*path, "network"), "only a stage with `run` has a network of its own", hint)
            continue
        if "writes" not in stage:
            message = "what the server's command writes is committed, so the stage must say what that may be"
            yield view.source.problem(path, message, "add `writes`")
        if "attempts" in stage:
            message = "the server runs this stage, and running it again would give the same"
            yield view.source.problem(
                (*path, "attempts"), message, "remove it; `otherwise` says what a failure leads to"
            )
        if "role" in stage:
            yield view.source.problem((*path, "role"), "the server runs this stage: nobody claims it", "remove it")
        for index, gate in enumerate(_items(stage, "gates")):
            if RUN in _names_of_gate(gate):
                message = f"the name {RUN!r} belongs to the gate that tells how the stage's own command ended"
                yield view.source.problem((*path, "gates", index), message)


def _labels_are_few(view: _View) -> Iterator[PolicyProblem]:
    lists = [*(stage.get("gates") for stage in view.stages.values()), _mapping(view.source.value, "land").get("gates")]
    gates = [gate for found in lists if isinstance(found, list) for gate in found if isinstance(gate, dict)]
    written = [_items(options, "runs_on") for gate in gates for options in gate.values() if isinstance(options, dict)]
    labels = {label for found in written for label in found if isinstance(label, str)}
    if len(labels) > LABELS_MAX:
        message = f"the gates run on {len(labels)} labels ({', '.join(sorted(labels))}), and {LABELS_MAX} are the most"
        yield view.source.problem(("stages",), message)


def _is_in_this_version(view: _View) -> Iterator[PolicyProblem]:
    """What the vocabulary has and this version cannot do is refused, never passed over in silence."""
    if _mapping(view.source.value, "land").get("strategy") == "rebase":
        message = "the strategy 'rebase' is not in this version"
        yield view.source.problem(("land", "strategy"), message, "write merge or squash")


def _reopened_stages_are_upstream(view: _View) -> Iterator[PolicyProblem]:
    for name, stage in view.stages.items():
        reopened = _mapping(stage, "otherwise").get("reopen")
        above = graph.upstream(name, view.needs)
        path = ("stages", name, "otherwise", "reopen")
        if not isinstance(reopened, str) or (reopened in above and not _is_run(view.stages[reopened])):
            continue
        if reopened in above:
            message = f"the server runs {reopened!r}, and running it again would give the same"
            yield view.source.problem(path, message, "name a stage that an agent does")
        elif reopened not in view.stages:
            yield view.source.problem(path, f"unknown stage {reopened!r}", nearest(reopened, above))
        else:
            hint = f"{name!r} needs {', '.join(sorted(above))}" if above else f"{name!r} needs no stage"
            yield view.source.problem(path, f"{reopened!r} does not come before {name!r}", hint)


def _traces_lead_back(view: _View) -> Iterator[PolicyProblem]:
    yield from trace_problems(view.source, view.stages, view.needs, _mapping(view.source.value, "land"))


def _all_work_lands(view: _View) -> Iterator[PolicyProblem]:
    landing = {*view.land_needs, *(above for need in view.land_needs for above in graph.upstream(need, view.needs))}
    for name in view.stages:
        if landing and name not in landing:
            message = "neither landing nor a stage that lands needs this stage: its work would never land"
            yield view.source.problem(("stages", name), message, f"add {name!r} to land.needs")


def _unordered_stages_write_apart(view: _View) -> Iterator[PolicyProblem]:
    writes = {name: _specimens(name, stage) for name, stage in view.stages.items()}
    count = sum(map(len, writes.values()))
    if count > WRITES_MAX:
        message = f"the stages write {count} globs; more than {WRITES_MAX} are not held against each other"
        yield view.source.problem(("stages",), message, "write fewer and wider ones")
        return
    for one, other in graph.unordered_pairs(view.needs):
        pair = overlap(tuple(writes[one]), tuple(writes[other]))
        if pair is not None:
            mine, yours = writes[other][pair[1]], writes[one][pair[0]]
            message = f"{mine!r} overlaps with {yours!r} of stage {one!r}, and neither stage comes before the other"
            hint = "narrow 'writes' of one, or let one need the other"
            yield view.source.problem(("stages", other, "writes"), message, hint)


_RULES: tuple[Rule, ...] = (
    _target_is_a_branch,
    _stages_are_few_and_rightly_named,
    _needs_exist,
    _commands_can_fail,
    _globs_are_well_formed,
    _stages_may_write_something,
    _secrets_are_variables,
    _run_stages_have_what_concerns_them,
    _labels_are_few,
    _is_in_this_version,
)
_RULES_OF_ORDER: tuple[Rule, ...] = (
    _reopened_stages_are_upstream,
    _traces_lead_back,
    _all_work_lands,
    _unordered_stages_write_apart,
)


def _specimens(stage: str, written: Mapping[str, object]) -> dict[str, str]:
    """What the stage writes for one change, each glob with the text that it was made from."""
    globs = DEFAULT_WRITES if "writes" not in written else _words(written, "writes")[:GLOBS_MAX]
    well_formed = (glob for glob in globs if _glob_complaint(glob, PLACEHOLDERS) is None)
    return {substitute(glob, change=SPECIMEN_CHANGE, stage=stage): glob for glob in well_formed}


def _glob_complaint(glob: str, placeholders: tuple[str, ...]) -> str | None:
    return check_placeholders(glob, placeholders) or check_glob(glob)


def _is_run(stage: Mapping[str, object]) -> bool:
    return stage.get("run") is not None


def _names_of_gate(gate: object) -> tuple[object, ...]:
    """What a gate may be called by, as it was written: its kind, and the name among its options."""
    if not isinstance(gate, dict):
        return (gate,)
    return (*gate, *(options["name"] for options in gate.values() if isinstance(options, dict) and "name" in options))


def _mapping(holder: object, key: str) -> Mapping[str, object]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def _items(holder: Mapping[str, object], key: str) -> list[object]:
    value = holder.get(key)
    return value if isinstance(value, list) else []


def _words(holder: Mapping[str, object], key: str) -> tuple[str, ...]:
    return tuple(item for item in _items(holder, key) if isinstance(item, str))
