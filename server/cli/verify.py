"""`gatewright verify`: does exactly this commit's content carry a complete set of verdicts? For CI.

By tree, not by commit: a merge or a rebase that ends with the judged files is fine, one more byte is not.
"""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ...schemas.ids import short
from .command import CannotGoOn, Exit
from .opening import open_git, services_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ...gates.repository import SharedRepository
    from ..store.tx import Tx

CHANGES_SEARCHED_MAX = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known about a tree under the trusted branch's policy of now."""

    passed: bool
    commit: str
    tree: str
    policy: str
    sentence: str


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("commit", metavar="COMMIT", help="any name of a commit: HEAD, a branch, an id")
    parser.add_argument("--json", action="store_true", help="print the answer as data")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """0 when it passed under the policy of now, 1 when not."""
    # Of a team's commits this machine has those of the clone that the command is given in.
    repository = open_git(options)
    commit = repository.resolve(options.commit)
    if commit is None:
        raise CannotGoOn(f"'{options.commit}' names no commit here.", "git log lists commits.", code="bad_argument")
    with services_of(options) as services:
        tree = _tree_of(repository, commit)
        policy = services.policies.at(services.policies.tip())
        answer = services.store.read(lambda tx: _answer(tx, commit, tree, policy.digest))
    if options.json:
        terminal.write_data(json.dumps(asdict(answer), indent=2) + "\n")
    else:
        terminal.say(answer.sentence, "green" if answer.passed else "red")
    return Exit.OK if answer.passed else Exit.FAILED


def _tree_of(repository: "SharedRepository", commit: str) -> str:
    from ...gates.git import Git

    return Git(repository.common_dir).text("rev-parse", "--verify", f"{commit}^{{tree}}")


def _answer(tx: "Tx", commit: str, tree: str, policy: str) -> Answer:
    found = tx.passed_trees(tree)
    current = next((passed for passed in found if passed.policy_digest == policy), None)
    what = f"The content of {short(commit)}"
    if current is not None:
        when = f"{current.at.astimezone():%Y-%m-%d %H:%M}"
        sentence = f"{what} passed every gate in {current.change} ({current.evaluation}, {when})."
        return Answer(True, commit, tree, policy, sentence)
    if found:
        sentence = f"{what} passed in {found[-1].change}, but under another policy than the trusted branch has now."
        return Answer(False, commit, tree, policy, sentence)
    return Answer(False, commit, tree, policy, f"{what} has not passed the gates: {_missing(tx, tree)}")


def _missing(tx: "Tx", tree: str) -> str:
    """What is known of the tree: which attempt it was, and what became of it."""
    for record in tx.changes(limit=CHANGES_SEARCHED_MAX):
        for stage in record.stages:
            for attempt in stage.attempts:
                if attempt.tree == tree:
                    return (
                        f"it is attempt {attempt.number} of '{stage.name}' of {record.id}, which is {attempt.state}; "
                        f"landing {record.id} needs {', '.join(record.plan.land_needs)} and judges the merge."
                    )
    return "it was never handed in."
