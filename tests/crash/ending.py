"""How a job ended, in words that do not depend on when it was done: equal for a life without a crash and for two."""

import json
import re
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from gatewright.gates.machine.evolve import replay
from gatewright.schemas.events import event_adapter
from gatewright.server.composition import ARTIFACTS_FOLDER
from gatewright.server.store import EvaluationState, open_store

from ..acceptance.house import Repository

if TYPE_CHECKING:
    from gatewright.server.store.tx import Tx

CHANGE = "c1"
EVENTS_MAX = 999
_ID = re.compile(r"\b[0-9a-f]{40}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
# Named by the commit that they keep. A life that died may have kept the same work under another commit.
_KEPT = re.compile(r"refs/(gatewright|gatewright-store)/(attempts|artifacts|bases)/")


@dataclass(frozen=True)
class Ending:
    """Everything that has to be the same, each as something that can be compared and printed."""

    events: tuple[str, ...]
    evaluations: tuple[str, ...]
    evidence: tuple[str, ...]
    replies: int
    files: frozenset[str]
    tree: str
    history: tuple[str, ...]
    kept: frozenset[str]
    refs: tuple[str, ...]
    worktrees: int
    workspaces: tuple[str, ...]
    left_over: tuple[str, ...]
    checkout: str
    damage: str

    def differences(self, other: "Ending") -> list[str]:
        """What `other` has otherwise, one line each."""
        names = (field.name for field in fields(self))
        return [
            f"{name}: {getattr(self, name)!r} became {getattr(other, name)!r}"
            for name in names
            if getattr(self, name) != getattr(other, name)
        ]


def ending_of(repository: Repository) -> Ending:
    """Look at everything that is left; asserts that replaying the events gives the record (invariant I9)."""
    artifacts = repository.state / ARTIFACTS_FOLDER
    trees = _Trees(repository)
    with closing(open_store(repository.state, create=False)) as store:
        events, evaluations, evidence, replies = store.read(_stored)
    # Where the target stands is fetched when a life finds it moved.
    kept, refs = {trees.of(repository.tip())}, []
    for folder in (artifacts, repository.common_dir):
        for line in repository.git("for-each-ref", "--format=%(refname) %(objectname)", cwd=folder).splitlines():
            name, commit = line.split()
            if _KEPT.match(name):
                kept.add(trees.of(commit))
            else:
                refs.append(f"{folder.name}: {trees.in_words(line)}")
    return Ending(
        events=tuple(trees.in_words(event) for event in events),
        evaluations=evaluations,
        evidence=tuple(trees.in_words(item) for item in evidence),
        replies=replies,
        files=frozenset(repository.files()),
        tree=repository.tree(),
        history=tuple(repository.git("log", "--format=%s", "--first-parent", "main").splitlines()),
        kept=frozenset(kept),
        refs=tuple(sorted(refs)),
        worktrees=len(repository.git("worktree", "list", "--porcelain").split("\n\n")),
        workspaces=tuple(repository.workspaces()),
        left_over=tuple(_left_over(repository.common_dir)),
        checkout=repository.git("status", "--porcelain", "--untracked-files=all"),
        damage=repository.git("fsck", "--connectivity-only", "--no-dangling", cwd=artifacts)
        + repository.git("fsck", "--connectivity-only", "--no-dangling"),
    )


class _Trees:
    """Commits by the trees that they hold: a commit's own id tells when it was made."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._known: dict[str, str] = {}

    def of(self, object_id: str) -> str:
        if object_id not in self._known:
            self._known[object_id] = self._find(object_id)
        return self._known[object_id]

    def in_words(self, text: str) -> str:
        return _ID.sub(lambda found: self.of(found[0]), text)

    def _find(self, object_id: str) -> str:
        for folder in (self._repository.state / ARTIFACTS_FOLDER, self._repository.common_dir):
            command = f"{object_id}^{{tree}}"
            done = self._repository.git("cat-file", "--batch-check=%(objectname)", cwd=folder, stdin=f"{command}\n")
            if not done.endswith("missing"):
                return f"<tree {done[:10]}>"
        return f"<gone {object_id}>"


def _stored(tx: "Tx") -> tuple[list[str], tuple[str, ...], list[str], int]:
    record = tx.find_change(CHANGE)
    assert record is not None, "the change is gone"
    found = tx.events(CHANGE, limit=EVENTS_MAX)
    assert [number for number, _ in found] == list(range(1, record.version + 1)), "events have a gap"
    assert replay([event for _, event in found]) == record, "replaying the events gives another record"
    events = [_TIME.sub("<time>", event_adapter().dump_json(event).decode()) for _, event in found]
    rows = tx.evaluations(change=CHANGE, states=tuple(EvaluationState))
    evaluations = tuple(sorted(f"{row.id} {row.stage} {row.purpose} {row.state}" for row in rows))
    evidence = [
        json.dumps([item.evaluation, item.stage, item.attempt, item.commit, item.evidence.gate, item.evidence.outcome])
        for row in rows
        for item in tx.evidence_of(row.id)
    ]
    assert max(Counter(evidence).values()) == 1, "a gate's evidence is there twice"
    count = tx.connection.exec_driver_sql("SELECT count(*) FROM reply").scalar()
    return events, evaluations, sorted(evidence), int(count or 0)


def _left_over(common_dir: Path) -> list[str]:
    """Locks and half-made things in the repository."""
    found = [*common_dir.rglob("*.lock"), *common_dir.rglob("tmp_*"), *common_dir.rglob("*.unfinished")]
    return sorted(str(path.relative_to(common_dir)) for path in found)
