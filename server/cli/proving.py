"""Prove a gate both ways: green on something that it counts, red on something that was planted.

Green is the trusted branch as it is, or with what the gate's kind adds so that there is something to judge. Red is the
same with a change that the kind, or the policy by a canary, knows the gate must object to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import anyio

from ...gates.contract import AnyGateKind, BaseResult, Found, Job, Message, PatchRefused, Progress, Run, Spoiled
from ...gates.judging.planting import likely_canary
from ...gates.judging.scratch import scratch_folder
from ...gates.judging.specimens import SpecimenMaker
from ...gates.judging.submission import Submission
from ...gates.kinds import KINDS
from ...gates.paths import fill, substitute
from ...gates.policy import LAND_KINDS, RUN_GATE, Policy
from ...gates.runner import SCRATCH, judge
from ...gates.testing.area import DEFAULT_AREA
from ...schemas.pipeline import GateSpec
from ...schemas.records import Evidence, Outcome
from ..proofs import SCOPE, Gate

if TYPE_CHECKING:
    from ...gates.environment import PreparedEnvironment
    from ..services import Services

# No change has this id.
SPECIMEN_CHANGE = "c0"
# Runs where protected files are put back as the policy has them, all of them.
COMMAND = "command"
RED_FIRST = "red_first"
PATCH_BYTES_MAX = 100_000


@dataclass(frozen=True)
class Proved:
    """What came out for one gate.

    `wrong` is the sentence that makes it red for `doctor`; `about` the evidence that shows why. `lacks` says what the
    trusted branch has nothing of yet, so that the gate was tried on what it would have. `spoiled` is what was planted,
    None where nothing that the gate must object to is known. `good` is the commit that it had to pass.
    """

    gate: Gate
    good: str
    green: Evidence
    spoiled: Spoiled | None = None
    wrong: str | None = None
    about: Evidence | None = None
    lacks: str | None = None


class Prover:
    """Judges specimens of one policy, one gate at a time; `say` is told what is going on."""

    def __init__(self, services: "Services", policy: Policy, say: Callable[[str], None], *, slots: int) -> None:
        self._services = services
        self._policy = policy
        self._say = say
        self._slots = slots
        self._numbers = count(1)
        # What is known of the trusted branch is asked once for all gates and both ways.
        self._baselines: dict[str, str] = {}

    def prepare(self) -> "PreparedEnvironment":
        """Run the policy's `setup`, unless that was done before. Raises `CannotJudge`."""

        async def build() -> "PreparedEnvironment":
            job = self._job(Gate("setup", _SCOPE, ("**",)), self._policy.commit, ())
            with scratch_folder(job.cache / SCRATCH, job.evaluation) as scratch:
                return await Submission(job, self._hear, scratch).environment(job.commit)

        return anyio.run(build)

    def prove(self, gate: Gate) -> Proved:
        """Both ways; whatever goes wrong is told in the result."""
        kind, options = _kind_of(gate.spec)
        maker = self._maker(gate)
        base = self._policy.commit
        added = kind.specimen(options, maker.specimen(base))
        good = maker.commit(base, added) if added else base
        self._say(f"{gate.label}: trying it on {'a specimen' if added else 'the trusted branch'}")
        green = self.judge(gate, good)
        lacks = f"The branch has no {kind.unit} for it yet." if added and gate.spec.kind in LAND_KINDS else None
        if green.outcome is not Outcome.PASSED:
            return Proved(gate, good, green, wrong=f"{green.outcome}: {green.summary}", about=green, lacks=lacks)
        proved = Proved(gate, good, green, lacks=lacks)
        try:
            spoiled = kind.spoil(options, maker.specimen(good))
        except PatchRefused as exc:
            return replace(proved, wrong=f"passes, but its canary cannot be planted. {exc}")
        if spoiled is None:
            return proved
        wrong, red = self._plant(gate, maker, good, spoiled)
        if not spoiled.is_certain and red is not None and red.outcome is Outcome.PASSED:
            return proved
        return replace(proved, spoiled=spoiled, wrong=wrong, about=red)

    def helps(self, proved: Proved, options: Mapping[str, object]) -> bool:
        """Whether the gate comes closer to green on the same commit when it has these options too."""
        before, spec = proved.green, proved.gate.spec
        changed = spec.model_copy(update={"options": {**spec.options, **options}})
        # What was known of the branch was found out without them.
        self._baselines = {}
        after = self.judge(replace(proved.gate, spec=changed), proved.good)
        self._baselines = {}
        is_green = after.outcome is Outcome.PASSED
        return is_green and (before.outcome is not Outcome.PASSED or len(after.tolerated) < len(before.tolerated))

    def find_canary(self, gate: Gate) -> str | None:
        """A patch with which the gate fails, found by trying what many commands object to; None when it does not."""
        maker, base = self._maker(gate), self._policy.commit
        spoiled = likely_canary(maker.specimen(base), DEFAULT_AREA)
        if spoiled is None or self._plant(gate, maker, base, spoiled)[0] is not None:
            return None
        return self._services.artifacts.diff(base, maker.commit(base, spoiled.files), bytes_max=PATCH_BYTES_MAX)

    def run(self, stage: str) -> Evidence:
        """What becomes of the command of a `run:` stage on the trusted branch."""
        declared = self._policy.pipeline.stages[stage]
        assert declared.run is not None, "only the command of such a stage is run"
        self._say(f"{stage}: running its command on the trusted branch")
        command = fill(declared.run, change=SPECIMEN_CHANGE, stage=stage)
        run = Run(command, declared.network, "Specimen\n", self._services.clock())
        gate = Gate(stage, RUN_GATE, declared.writes)
        return self._found(gate, replace(self._job(gate, self._policy.commit, ()), run=run))

    def judge(self, gate: Gate, commit: str) -> Evidence:
        """What the gate says of the commit against the trusted branch."""
        # The branch brings no new tests along that could have been red before.
        is_branch = commit == self._policy.commit
        spec = _without(gate.spec, RED_FIRST) if is_branch else gate.spec
        return self._found(gate, self._job(gate, commit, () if gate.spec.kind == SCOPE else (spec,)))

    def _found(self, gate: Gate, job: Job) -> Evidence:
        found: list[Evidence] = []

        def hear(message: Message) -> None:
            if isinstance(message, Found) and message.evidence.gate == gate.spec.name:
                found.append(message.evidence)
            self._hear(message)

        anyio.run(partial(judge, job, hear))
        [evidence] = found
        return evidence

    def _plant(
        self, gate: Gate, maker: SpecimenMaker, good: str, spoiled: Spoiled
    ) -> tuple[str | None, Evidence | None]:
        """Why the gate is not seen red, None when it is, and its evidence."""
        bad = maker.commit(good, spoiled.files)
        store = self._services.artifacts
        if store.tree_of(bad) == store.tree_of(good):
            return f"passes, and {spoiled.what} changes nothing", None
        if gate.spec.kind == COMMAND and all(map(self._policy.is_protected, spoiled.files)):
            return f"passes, and {spoiled.what} is only in protected files, which are put back before it runs", None
        self._say(f"{gate.label}: planting {spoiled.what}")
        red = self.judge(gate, bad)
        return _why_not_red(red, spoiled), red

    def _maker(self, gate: Gate) -> SpecimenMaker:
        writes = tuple(substitute(glob, change=SPECIMEN_CHANGE, stage=gate.stage) for glob in gate.writes)
        return SpecimenMaker(self._services.artifacts, self._policy, SPECIMEN_CHANGE, gate.stage, writes)

    def _job(self, gate: Gate, commit: str, gates: tuple[GateSpec, ...]) -> Job:
        base = self._policy.commit
        return Job(
            evaluation=f"{SPECIMEN_CHANGE}.d{next(self._numbers)}",
            change=SPECIMEN_CHANGE,
            stage=gate.stage,
            commit=commit,
            base=base,
            scope_base=base,
            policy=self._policy,
            gates=gates,
            writes=self._maker(gate).writes,
            store=self._services.artifacts.path,
            shared=self._services.repository.common_dir,
            cache=self._services.cache,
            slots=self._slots,
            baselines=self._baselines,
        )

    def _hear(self, message: Message) -> None:
        match message:
            case BaseResult(key, value):
                self._baselines[key] = value
            case Progress(text):
                self._say(text)
            case _:
                pass


_SCOPE = GateSpec(kind=SCOPE, name=SCOPE)


def _without(spec: GateSpec, option: str) -> GateSpec:
    return spec.model_copy(update={"options": {key: value for key, value in spec.options.items() if key != option}})


def _kind_of(spec: GateSpec) -> "tuple[AnyGateKind, object]":
    kind = KINDS[spec.kind]
    return kind, kind.options.model_validate(spec.options)


def _why_not_red(evidence: Evidence, spoiled: Spoiled) -> str | None:
    """Why the gate cannot be believed to have objected to what was planted; None when it did."""
    match evidence.outcome:
        case Outcome.PASSED:
            return f"passes, also with {spoiled.what}: it checks nothing that was planted"
        case Outcome.FAILED if _names(evidence, spoiled):
            return None
        case Outcome.FAILED:
            return f"with {spoiled.what} it failed, but because of something else"
        case _:
            return f"with {spoiled.what} it is {evidence.outcome}: {evidence.summary}"


def _names(evidence: Evidence, spoiled: Spoiled) -> bool:
    """Whether a finding is about what was planted."""
    about = [finding for finding in evidence.findings if not finding.on_base]
    if spoiled.mark is None:
        return any(finding.path in spoiled.files for finding in about)
    return any(spoiled.mark in f"{finding.path} {finding.rule} {finding.message}" for finding in about)
