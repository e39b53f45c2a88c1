"""What `doctor` says of gates that people and reviewers answer: it asks nobody, but somebody has to be able to."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...gates.policy import APPROVAL, REVIEW, land_gates_of
from ...gates.text import number_of
from ...schemas.ids import LAND
from ...schemas.pipeline import GateSpec
from ..people.register import read_people
from ..people.signatures import SIGNERS_BYTES_MAX
from .reviewers import look_at_reviewer
from .surroundings import Item

if TYPE_CHECKING:
    from ...gates.policy import Policy
    from ..services import Services


def look_at_answerers(services: "Services", policy: "Policy") -> Iterator[Item]:
    """One item for each gate of the policy that no program of ours answers. Blocking: the store and git are asked."""
    stages = [(name, stage.gates) for name, stage in policy.pipeline.stages.items()]
    for stage, gates in (*stages, (LAND, land_gates_of(policy.pipeline))):
        for gate in gates:
            if gate.kind == APPROVAL:
                yield _look_at_people(services, policy, f"{stage}/{gate.name}", gate)
            elif gate.kind == REVIEW:
                yield look_at_reviewer(services, policy, f"{stage}/{gate.name}", gate)


def _look_at_people(services: "Services", policy: "Policy", label: str, gate: GateSpec) -> Item:
    minimum, path = gate.options.get("minimum", 1), gate.options.get("signers")
    assert isinstance(minimum, int), "its kind has made sure that it is a number"
    if path is None:
        registered = len(services.store.read(read_people))
        text = f"people answer: {minimum} of the {registered} who are registered"
        if registered < minimum:
            return Item(label, None, f"{text}. `gatewright people add NAME` registers somebody.")
        return Item(label, True, text)
    data = services.artifacts.read(policy.commit, str(path), SIGNERS_BYTES_MAX)
    if data is None:
        return Item(label, False, f"people answer by signatures, but the branch has no {path}: nobody can sign")
    lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip() and line[0] != "#"]
    text = f"people answer by signatures: {minimum} of {number_of(len(lines), 'lines')} in {path}"
    # One key counts once; an authority certifies any number of them.
    is_enough = len(lines) >= minimum or any("cert-authority" in line for line in lines)
    return Item(label, is_enough, text)
