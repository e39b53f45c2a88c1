"""What gates found, kept as it was found, and the trees that passed everything."""

from sqlalchemy import bindparam, select

from . import schema
from .forms import evidence_adapter, micros, moment, read_evidence
from .part import Part, Prepared, adding
from .rows import PassedTree, StoredEvidence

_evidence = schema.evidence
_passed = schema.passed_tree


class EvidenceKept(Part):
    """Evidence by evaluation, passed trees by their id."""

    def add_evidence(self, item: StoredEvidence) -> None:
        """Append; one per gate and evaluation."""
        values = {
            "evaluation": item.evaluation,
            "change": item.change,
            "stage": item.stage,
            "attempt": item.attempt,
            "commit": item.commit,
            "tree": item.tree,
            "policy_digest": item.policy_digest,
            "gate": item.evidence.gate,
            "gate_digest": item.gate_digest,
            "evidence": evidence_adapter().dump_json(item.evidence).decode(),
        }
        self._write(_ADD_EVIDENCE, **values)

    def evidence_of(self, evaluation: str) -> tuple[StoredEvidence, ...]:
        """All evidence of an evaluation, in the order in which it was added."""
        rows = self._rows(_EVIDENCE_OF, this=evaluation)
        return tuple(StoredEvidence(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], read_evidence(r[8])) for r in rows)

    def add_passed_tree(self, passed: PassedTree) -> None:
        """Remember that a tree carries a complete set of verdicts; the first one stays."""
        this = {"tree": passed.tree, "policy_digest": passed.policy_digest}
        if self._row(_FIND_PASSED_TREE, which=passed.tree, policy=passed.policy_digest):
            return
        values = {"change": passed.change, "evaluation": passed.evaluation, "commit": passed.commit}
        self._write(_ADD_PASSED_TREE, **this, **values, at=micros(passed.at))

    def passed_trees(self, tree: str) -> tuple[PassedTree, ...]:
        """Under which policies the tree passed, the earliest first."""
        rows = self._rows(_PASSED_TREES, which=tree)
        return tuple(PassedTree(r[0], r[1], r[2], r[3], r[4], moment(r[5])) for r in rows)


_ADD_EVIDENCE = adding(_evidence, without=("number",))
_EVIDENCE_OF = Prepared(
    select(
        _evidence.c.evaluation,
        _evidence.c.change,
        _evidence.c.stage,
        _evidence.c.attempt,
        _evidence.c.commit,
        _evidence.c.tree,
        _evidence.c.policy_digest,
        _evidence.c.gate_digest,
        _evidence.c.evidence,
    )
    .where(_evidence.c.evaluation == bindparam("this"))
    .order_by(_evidence.c.number)
)
_ADD_PASSED_TREE = adding(_passed)
_FIND_PASSED_TREE = Prepared(
    select(_passed.c.tree).where(_passed.c.tree == bindparam("which"), _passed.c.policy_digest == bindparam("policy"))
)
_PASSED_TREES = Prepared(
    select(
        _passed.c.tree, _passed.c.policy_digest, _passed.c.change, _passed.c.evaluation, _passed.c.commit, _passed.c.at
    )
    .where(_passed.c.tree == bindparam("which"))
    .order_by(_passed.c.at)
)
