"""What a claimer is told: enough to work, and enough to resume after a context is lost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...gates.kinds import KINDS
from ...gates.machine.precedence import missing_needs
from ...gates.machine.reasons import Wanted, wanted_reviews
from ...gates.paths import fill
from ...gates.policy import SCOPE_GATE, Policy
from ...gates.text import clean_text, number_of, shorten
from ...schemas.arguments import ClaimStage
from ...schemas.pipeline import GateSpec
from ...schemas.records import ChangeRecord, ChangeState, Note, StageRecord, StageState
from ...schemas.refusals import ANOTHER_REVIEWER
from ...schemas.replies import Brief, GateBrief, InputArtifact
from ..services import Services
from . import bases, former, packets, verdicts, workplaces
from .deciding import get_change
from .evidence import told_findings

if TYPE_CHECKING:
    from ..store.tx import Tx

PATHS_TOLD_MAX = 20
SUMMARY_CHARS_MAX = 500
CHANGES_TOLD_MAX = 5
NOTE_PATHS_MAX = 5


def brief(
    tx: "Tx", services: Services, record: ChangeRecord, name: str, fence: int, *, place: workplaces.Workplace
) -> Brief:
    """The brief of a lease. Blocking: git is asked for the paths of the inputs."""
    stage = record.find_stage(name)
    if stage is None or record.state is not ChangeState.ACTIVE or len(record.inputs_of(name)) < _needs(record, name):
        return _ended(record, name)
    policy = services.policies.at(record.policy.commit)
    declared = policy.pipeline.stages[name]
    base = bases.stage_base(services, record, name)
    notes = [_note(note) for note in stage.notes if not packets.is_finding(note)]
    failed = former.last_failed(stage)
    if base.conflicts:
        notes.append(f"what this stage builds on conflicts in {', '.join(base.conflicts)}: resolve it there")
    start = bases.workspace_start(services, record, name)
    if start.is_merged:
        conflicts = ", ".join(map(clean_text, start.conflicts))
        marked = f"; resolve the conflict in {conflicts} (marked there where it is text)" if conflicts else ""
        notes.append(f"you begin with '{clean_text(record.target)}' merged into the work{marked}")
    notes += place.notes
    if place.problem is not None:
        notes.append(place.problem)
    elif place.may_be_furnished and (setup := policy.pipeline.setup) is not None and setup.keep:
        notes.append(f"{', '.join(setup.keep)} in the workspace is made by `setup`, in the background")
    lost = stage.lease is None or stage.lease.fence != fence
    return Brief(
        kind="work",
        lease=services.leases.token(record.id, name, fence),
        expires_in_s=_expires_in_s(services, record, stage),
        change=record.id,
        stage=name,
        role=declared.role,
        goal=filled(declared.goal, record, name) or None,
        intent=record.intent,
        attempt=len(stage.attempts) + 1,
        attempts_left=verdicts.attempts_left(record, stage),
        base_commit=base.commit,
        workspace=str(place.path) if place.problem is None and place.path is not None else None,
        inputs=tuple(input_artifact(services, record, need) for need in declared.needs),
        writes=writes_of(record, policy, name),
        gates=tuple(gate_brief(gate, record, name) for gate in (SCOPE_GATE, *declared.gates)),
        findings=told_findings((*packets.findings_of_notes(stage), *verdicts.open_findings(tx, stage))),
        warning=None if failed is None else verdicts.warning_of(stage, failed),
        tried=packets.tried(stage),
        disputed=packets.told(former.disputed(stage)),
        notes=tuple(notes),
        orphans=packets.orphans(services, record, stage, base.commit),
        why="This lease has ended; claim the stage again." if lost else None,
        next="claim_stage again: this lease has ended." if lost else place.next,
    )


def _needs(record: ChangeRecord, name: str) -> int:
    return len(record.rule(name).needs)


def _ended(record: ChangeRecord, name: str) -> Brief:
    """What a claim led to that is asked for again when there is nothing to work on any more."""
    return Brief(
        kind="none",
        change=record.id,
        stage=name,
        why=f"the lease on '{name}' of {record.id} has ended, and the stage cannot be worked on now",
        next=f'get_status(change="{record.id}") tells why; claim_stage for what is open.',
    )


def nothing_to_claim(tx: "Tx", services: Services, arguments: ClaimStage) -> Brief:
    """`kind: none`, with why and what would unlock it."""
    now = services.clock()
    states = (ChangeState.ACTIVE, ChangeState.LANDING)
    if arguments.change is None:
        active = tx.changes(states, limit=CHANGES_TOLD_MAX)
    else:
        active = tuple(record for record in [get_change(tx, arguments.change)] if record.state in states)
    if not active:
        why = "no change is under way" if arguments.change is None else f"{arguments.change} has nothing open"
        return Brief(kind="none", why=why, next="start_change(title, intent) begins one; get_status() shows all.")
    told = []
    is_for_others = False
    for record in active:
        for stage in record.stages:
            if stage.state is StageState.WAITING:
                told.append(
                    f"'{stage.name}' of {record.id} waits for {'; '.join(missing_needs(record, stage.name, now))}"
                )
            elif stage.transform is not None:
                told.append(f"the server runs '{stage.name}' of {record.id}")
            elif wanted := wanted_reviews(record, stage, now):
                told.append(_review_of_others(record, stage, wanted))
                is_for_others = True
            elif stage.state is not StageState.PASSED and stage.state is not StageState.OPEN:
                held = f", held by '{stage.lease.holder}'" if stage.lease else ""
                told.append(f"'{stage.name}' of {record.id} is {stage.state.replace('_', ' ')}{held}")
    if arguments.role is not None:
        told.append(f"and nothing that is open has the role '{arguments.role}'")
    waited = f'change="{arguments.change}"' if arguments.change else ""
    others = f" {ANOTHER_REVIEWER}" if is_for_others else ""
    return Brief(
        kind="none",
        change=arguments.change,
        why="; ".join(told[:PATHS_TOLD_MAX]) or "everything has passed",
        next=f"wait_for_update({waited}) wakes you when something opens; get_status() tells what would unlock it."
        f"{others}",
    )


def writes_of(record: ChangeRecord, policy: Policy, stage: str) -> tuple[str, ...]:
    """The globs that the stage may write, with the change's own names filled in."""
    return tuple(filled(glob, record, stage) for glob in policy.pipeline.stages[stage].writes)


def filled_options(gate: GateSpec, record: ChangeRecord, stage: str) -> GateSpec:
    """The gate with `{change}` and `{stage}` filled in, in every text of its options."""
    options = {key: _filled_value(value, record, stage) for key, value in gate.options.items()}
    return gate.model_copy(update={"options": options})


def filled(text: str, record: ChangeRecord, stage: str) -> str:
    """The text with the change's own names filled in."""
    return fill(text, change=record.id, stage=stage)


def _filled_value(value: object, record: ChangeRecord, stage: str) -> object:
    match value:
        case str():
            return filled(value, record, stage)
        case list() | tuple():
            return type(value)(_filled_value(item, record, stage) for item in value)
        case _:
            return value


def gate_brief(gate: GateSpec, record: ChangeRecord, stage: str) -> GateBrief:
    """What a gate checks, for an agent."""
    kind = KINDS[gate.kind]
    options = kind.options.model_validate(filled_options(gate, record, stage).options)
    return GateBrief(gate=gate.name, kind=gate.kind, about=kind.about(options))


def input_artifact(services: Services, record: ChangeRecord, need: str) -> InputArtifact:
    """What a need handed over. Blocking: git is asked for its paths."""
    artifact = record.stage(need).artifact
    assert artifact is not None, "a stage starts when its needs have passed (I1)"
    paths = [change.path for change in services.artifacts.changes(artifact.base, artifact.commit)]
    more = (f"and {len(paths) - PATHS_TOLD_MAX} more",) if len(paths) > PATHS_TOLD_MAX else ()
    return InputArtifact(
        stage=need,
        commit=artifact.commit,
        summary=shorten(artifact.summary, SUMMARY_CHARS_MAX),
        paths=(*paths[:PATHS_TOLD_MAX], *more),
    )


def _review_of_others(record: ChangeRecord, stage: StageRecord, wanted: Sequence[Wanted]) -> str:
    """What nobody gets who has a part in it, or who would be one too many: for anybody else it is there to claim."""
    attempt = stage.current
    assert attempt is not None, "what is reviewed is an attempt"
    holders = dict.fromkeys(f"'{maker.holder}'" for maker in stage.makers(attempt))
    count = number_of(sum(review.missing for review in wanted), "reviews")
    return f"'{stage.name}' of {record.id} waits for {count} by others than {', '.join(holders)}"


def _note(note: Note) -> str:
    paths = f" ({', '.join(note.paths[:NOTE_PATHS_MAX])})" if note.paths else ""
    return f"{note.source}: {note.text}{paths}"


def _expires_in_s(services: Services, record: ChangeRecord, stage: StageRecord) -> int:
    if stage.lease is None:
        return 0
    if stage.state is not StageState.CLAIMED:
        return round(record.plan.lease_s)
    return max(0, round((stage.lease.expires_at - services.clock()).total_seconds()))
