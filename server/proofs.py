"""What `doctor` has proved of the gates of a policy, kept in the store: that each can pass, and that it can fail.

A proof holds for one gate as it is written, one policy, one environment and one level of isolation. Only `doctor`
writes proofs; those of former policies go when it does.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

from ..schemas.pipeline import GateSpec

if TYPE_CHECKING:
    from ..gates.policy import Policy
    from .store.tx import Tx

SETTING = "gate_proofs"
LAND = "land"
SCOPE = "scope"


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate to prove, where it stands first. `writes` is what its stage may write; only `scope` is about it."""

    stage: str
    spec: GateSpec
    writes: tuple[str, ...]

    @property
    def label(self) -> str:
        """As people name it."""
        return f"{self.stage}/{self.spec.name}"

    @property
    def key(self) -> str:
        """Equal for gates that do the same."""
        about = {"kind": self.spec.kind, "options": self.spec.options}
        if self.spec.kind == SCOPE:
            about["writes"] = self.writes
        return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Proof:
    """One gate was green on something counted at `commit`, and red on what was planted; `red` None: never seen red.

    `at` is an ISO time, `green_s` how long it took to be green, in seconds.
    """

    policy: str
    environment: str
    isolation: str
    commit: str
    at: str
    counted: int
    unit: str
    green_s: float
    red: str | None

    def holds(self, policy: "Policy", *, environment: str, isolation: str) -> bool:
        """Whether it is about these surroundings."""
        return (self.policy, self.environment, self.isolation) == (policy.digest, environment, isolation)

    def age_s(self, now: datetime) -> float:
        """How long ago it was proved."""
        return (now - datetime.fromisoformat(self.at)).total_seconds()


def gates_of(policy: "Policy") -> Iterator[Gate]:
    """Every gate of the policy that a program answers, `scope` of each stage first; those that do the same once."""
    from ..gates.policy import APPROVAL, REVIEW, SCOPE_GATE, land_gates_of

    landing = tuple(gate for gate in land_gates_of(policy.pipeline) if gate.kind != SCOPE)
    stages: list[tuple[str, tuple[str, ...], tuple[GateSpec, ...]]] = [
        *((name, stage.writes, (SCOPE_GATE, *stage.gates)) for name, stage in policy.pipeline.stages.items()),
        (LAND, ("**",), landing),
    ]
    seen: set[str] = set()
    for stage, writes, gates in stages:
        for spec in gates:
            gate = Gate(stage, spec, writes)
            if spec.kind not in (REVIEW, APPROVAL) and gate.key not in seen:
                seen.add(gate.key)
                yield gate


def read_proofs(tx: "Tx") -> dict[str, Proof]:
    """The proofs by the gate's key; one that another version wrote in another shape is none."""
    names = {field.name for field in fields(Proof)}
    kept = json.loads(tx.meta_get(SETTING) or "{}")
    return {key: Proof(**values) for key, values in kept.items() if values.keys() == names}


def keep_proofs(tx: "Tx", policy: "Policy", proved: Mapping[str, Proof | None]) -> None:
    """Keep these, None takes one away, and forget those of other policies."""
    known = {key: proof for key, proof in read_proofs(tx).items() if proof.policy == policy.digest}
    kept = {key: proof for key, proof in {**known, **proved}.items() if proof is not None}
    tx.meta_set(SETTING, json.dumps({key: asdict(proof) for key, proof in kept.items()}))


def never_seen_red(tx: "Tx", policy: "Policy") -> tuple[str, ...]:
    """The labels of the policy's gates of which nobody has proved, under this policy, that they can fail."""
    known = read_proofs(tx)
    red = {key for key, proof in known.items() if proof.policy == policy.digest and proof.red is not None}
    return tuple(gate.label for gate in gates_of(policy) if gate.key not in red)
