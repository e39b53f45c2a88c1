"""The policy of a commit: the pipeline, what it protects, and the digest by which a change is pinned to it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Protocol

from pydantic import Field

from ..schemas.ids import LAND
from ..schemas.pipeline import PIPELINE_FILE, GateSpec, Model, Pipeline, Stage
from ..schemas.plan import ApprovalRule, Plan, ReviewRule, StageRule
from . import graph
from .guarded.shadows import stands_in
from .paths import matches
from .policies.pipeline_file import all_kinds, parse_pipeline, read_pipeline
from .policies.pipeline_gates import REVIEW, SCOPE, Kinds
from .policies.pipeline_rules import RUN
from .policies.yaml_source import PolicyInvalid, PolicyProblem
from .protection import TablesUnreadable, changed_tables, protection_of, tables_of

__all__ = [
    "REVIEW",
    "Policy",
    "PolicyInvalid",
    "PolicyMissing",
    "PolicyProblem",
    "PolicySource",
    "find_gate",
    "gate_digest",
    "land_gates_of",
    "load_policy",
    "parse_pipeline",
    "plan_of",
]

# Part of every digest: raised when the same file comes to mean something else.
POLICY_FORMAT = 1

# Answered by people, on top of a passed floor.
APPROVAL = "approval"
# What judges a merged tree when `land` names no gates: kinds that judge a tree as a whole, not the work of one stage.
LAND_KINDS = frozenset({"compile", "ruff", "command", "test", "transform"})
GATE_NAME_CHARS_MAX = 32
# The option by which a gate looks only at files that differ from the base.
NARROWING = "changed_only"

SCOPE_GATE = GateSpec(kind=SCOPE, name=SCOPE)
# What is found about the command of a `run:` stage: always on there, as `scope` is everywhere.
RUN_GATE = GateSpec(kind=RUN, name=RUN)


class PolicySource(Protocol):
    """A commit as the policy is read from it."""

    def read(self, path: str) -> bytes | None:
        """The bytes of the file, or None when the commit has no such file."""
        ...

    def paths(self) -> Iterable[tuple[str, str]]:
        """Every file of the commit, with the id of its blob."""
        ...

    def links(self) -> Mapping[str, str]:
        """The target of every symbolic link of the commit, by path."""
        ...


class PolicyMissing(Exception):
    """The trusted ref has no policy; `str()` is one sentence."""

    def __init__(self, commit: str, target: str) -> None:
        self.commit = commit
        super().__init__(f"{target!r} has no {PIPELINE_FILE} at commit {commit[:10]}")


class Policy(Model):
    """What must hold, as declared at `commit`; equal digests mean equal policies.

    `rules_digest` covers what of it may decide about a verdict, apart from the gate itself: two policies that differ in
    other gates, in goals or in budgets have the same, so that a verdict of the one holds under the other.
    `protected` are globs of files that are protected as a whole. `tables` maps globs of mixed files to the names of the
    tables in them that are. `shadows` are modules by folder, for which no file that is new there may stand in.
    """

    commit: str
    digest: str
    pipeline: Pipeline
    protected: tuple[str, ...]
    tables: dict[str, tuple[str, ...]]
    shadows: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    rules_digest: str = ""

    def is_protected(self, path: str) -> bool:
        """Whether the whole file is protected, also under a name that is the same where case does not count."""
        is_named = any(matches(name, self._protected_in_any_case) for name in {path, path.casefold()})
        return is_named or stands_in(path, self.shadows)

    def protected_tables(self, path: str) -> tuple[str, ...]:
        """The names of the protected tables of a mixed file; empty for a file that is not mixed."""
        found = (names for glob, names in self.tables.items() if matches(path.casefold(), (glob.casefold(),)))
        return tuple(name for names in found for name in names)

    def changed_tables(self, path: str, before: bytes | None, after: bytes | None) -> tuple[str, ...]:
        """Which protected tables differ between two versions of a mixed file; None stands for no file.

        All of them when a version cannot be read.
        """
        return changed_tables(path, before, after, self.protected_tables(path))

    def key_sources(self, commit: str, paths: Iterable[str]) -> dict[str, str]:
        """The key files among `paths`, each with the commit that it is read from for `commit`.

        A protected one is the policy's, whatever the commit has under its name.
        """
        setup = self.pipeline.setup
        keys = () if setup is None else (path for path in paths if matches(path, setup.key))
        return {path: self.commit if self.is_protected(path) else commit for path in keys}

    @cached_property
    def _protected_in_any_case(self) -> tuple[str, ...]:
        return (*self.protected, *(glob.casefold() for glob in self.protected))


def load_policy(source: PolicySource, *, commit: str, target_recorded: str, kinds: Kinds | None = None) -> Policy:
    """The policy of a commit, which must be about the branch that was recorded when the repository was set up.

    Raises `PolicyMissing`, and `PolicyInvalid` also when the file names another `target`: otherwise a branch that
    nobody trusts could declare itself the one to be trusted.
    """
    data = source.read(PIPELINE_FILE)
    if data is None:
        raise PolicyMissing(commit, target_recorded)
    kinds = all_kinds() if kinds is None else kinds
    pipeline, written = read_pipeline(data, kinds=kinds)
    if pipeline.target != target_recorded:
        message = f"target is {pipeline.target!r}, but this repository was set up for {target_recorded!r}"
        raise PolicyInvalid((written.problem(("target",), message, f"write 'target: {target_recorded}'"),))
    blobs = dict(source.paths())
    protection = protection_of(pipeline, kinds=kinds, paths=blobs.keys(), links=source.links(), read=source.read)
    undigested = Policy(
        commit=commit,
        digest="",
        pipeline=pipeline,
        protected=protection.files,
        tables=dict(protection.tables),
        shadows=dict(protection.shadows),
    )
    covered = _covered(undigested, source, blobs)
    # Where agents work is no matter of what must hold.
    pipeline_too = {**covered, "pipeline": pipeline.model_dump(mode="json", exclude={"workspace"})}
    rules_too = {**covered, "rules": _rules_of(pipeline), "shadows": undigested.shadows}
    return undigested.model_copy(update={"digest": _digest(pipeline_too), "rules_digest": _digest(rules_too)})


def plan_of(pipeline: Pipeline) -> Plan:
    """The pipeline as the lifecycle sees it."""
    needs = {name: stage.needs for name, stage in pipeline.stages.items()}
    return Plan(
        stages=tuple(_rule_of(name, pipeline.stages[name]) for name in graph.order(needs)),
        land_needs=pipeline.land.needs,
        land_gates=tuple(gate.name for gate in land_gates_of(pipeline)),
        lease_s=pipeline.limits.lease,
        land_approvals=_approvals_among(land_gates_of(pipeline)),
        land_runs_on=_labels_of(land_gates_of(pipeline)),
    )


def land_gates_of(pipeline: Pipeline) -> tuple[GateSpec, ...]:
    """The gates that judge the merged tree against the tip of the target; never none.

    Without `land.gates` they are those of all stages that judge a tree as a whole, each once, and not narrowed to what
    changed; when there are none, `scope` alone, which still refuses what no checkout could hold.
    """
    if pipeline.land.gates is not None:
        return pipeline.land.gates
    found: dict[str, GateSpec] = {}
    for stage_name, stage in pipeline.stages.items():
        for gate in map(_widened, stage.gates):
            same = any(gate_digest(gate) == gate_digest(other) for other in found.values())
            if gate.kind in LAND_KINDS and not same:
                name = _distinct(gate.name, stage_name, found)
                found[name] = gate.model_copy(update={"name": name})
    return tuple(found.values()) or (SCOPE_GATE,)


def _widened(gate: GateSpec) -> GateSpec:
    options = {key: value for key, value in gate.options.items() if key != NARROWING}
    return gate if NARROWING not in gate.options else gate.model_copy(update={"options": options})


def _rule_of(name: str, stage: Stage) -> StageRule:
    always_on = (SCOPE,) if stage.run is None else (SCOPE, RUN)
    return StageRule(
        name=name,
        needs=stage.needs,
        gates=(*always_on, *(gate.name for gate in stage.gates if not awaits_reviewers(gate))),
        attempts=stage.attempts if stage.run is None else 1,
        otherwise=None if stage.otherwise == "escalate" else stage.otherwise.reopen,
        reopens=stage.reopens,
        role=stage.role,
        is_transform=stage.run is not None,
        writes=stage.writes,
        reviews=tuple(
            ReviewRule(gate.name, _number(gate, "quorum"), str(gate.options.get("independence", "principal")))
            for gate in stage.gates
            if awaits_reviewers(gate)
        ),
        approvals=_approvals_among(stage.gates),
        runs_on=_labels_of(stage.gates),
    )


def awaits_reviewers(gate: GateSpec) -> bool:
    """Whether agents judge by this gate; a review by a program is run like every other gate."""
    return gate.kind == REVIEW and gate.options.get("run") is None


def gate_digest(gate: GateSpec) -> str:
    """What identifies a gate as it was run, or answered: its kind and every option, and what it was to run on."""
    about = {"kind": gate.kind, "options": gate.options, **({"runs_on": sorted(gate.runs_on)} if gate.runs_on else {})}
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()


def find_gate(pipeline: Pipeline, stage: str, name: str) -> GateSpec | None:
    """The gate of this name as the pipeline declares it, of a stage or of landing."""
    gates = land_gates_of(pipeline) if stage == LAND else pipeline.stages[stage].gates
    return next((gate for gate in gates if gate.name == name), None)


def _number(gate: GateSpec, option: str) -> int:
    """How many the gate wants; its kind has made sure that it is a number."""
    value = gate.options.get(option, 1)
    assert isinstance(value, int), f"{option} of gate {gate.name} is a number"
    return value


def _approvals_among(gates: Iterable[GateSpec]) -> tuple[ApprovalRule, ...]:
    return tuple(
        ApprovalRule(gate.name, _number(gate, "minimum"), is_signed=gate.options.get("signers") is not None)
        for gate in gates
        if gate.kind == APPROVAL
    )


def _labels_of(gates: Iterable[GateSpec]) -> tuple[str, ...]:
    return tuple(sorted({label for gate in gates for label in gate.runs_on}))


def _distinct(name: str, stage: str, taken: Mapping[str, object]) -> str:
    """The name, after that of the stage when another gate has it, numbered when even that is taken."""
    candidates = [name, f"{stage}-{name}"[:GATE_NAME_CHARS_MAX].rstrip("-")]
    candidates += [f"{name[: GATE_NAME_CHARS_MAX - 5]}-{number}" for number in range(2, len(taken) + 3)]
    return next(candidate for candidate in candidates if candidate not in taken)


def _rules_of(pipeline: Pipeline) -> dict[str, object]:
    """What of the pipeline may decide about a verdict, apart from the gate itself and what is protected.

    Of the other gates only which kinds there are: `command` asks about suppressions where no `ruff` does.
    """
    told = pipeline.model_dump(mode="json", include={"target", "protect", "setup", "install", "require_isolation"})
    gates = [gate for stage in pipeline.stages.values() for gate in stage.gates] + [*(pipeline.land.gates or ())]
    limits = pipeline.limits.model_dump(mode="json", exclude={"lease"})
    return {**told, "limits": limits, "kinds": sorted({gate.kind for gate in gates})}


def _digest(covered: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(covered, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _covered(policy: Policy, source: PolicySource, blobs: Mapping[str, str]) -> dict[str, object]:
    """Every wholly protected file by its blob, and the protected tables of mixed files.

    Not the bytes of `gatewright.yaml`, which the pipeline stands for: a comment in it is no new policy.
    """
    tables: dict[str, object] = {}
    for path, blob in sorted(blobs.items()):
        names = policy.protected_tables(path)
        if names:
            tables[path] = _tables_or_blob(path, blob, names, source)
    return {
        "format": POLICY_FORMAT,
        "protected": sorted(policy.protected),
        "files": sorted((path, blob) for path, blob in blobs.items() if _is_digested(policy, path)),
        "tables": tables,
    }


def _is_digested(policy: Policy, path: str) -> bool:
    return path != PIPELINE_FILE and policy.is_protected(path)


def _tables_or_blob(path: str, blob: str, names: Iterable[str], source: PolicySource) -> object:
    data = source.read(path)
    try:
        return tables_of(path, data, names) if data is not None else blob
    except TablesUnreadable:
        return blob
