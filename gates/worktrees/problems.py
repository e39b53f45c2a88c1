"""What can be wrong with a person's repository or an agent's workspace: one sentence, and what to do about it."""

from enum import StrEnum


class ProblemKind(StrEnum):
    NOT_FOUND = "not_found"
    NO_REPOSITORY = "no_repository"
    NO_GIT = "no_git"
    OLD_GIT = "old_git"
    NOT_TRUSTED = "not_trusted"
    NO_WORKTREE = "no_worktree"
    SYMBOLIC_BRANCH = "symbolic_branch"
    TOO_LARGE = "too_large"


class RepositoryProblem(Exception):
    """The repository is not in a state to work with; `message` says why, `next` what to do."""

    def __init__(self, kind: ProblemKind, message: str, next_action: str) -> None:
        self.kind = kind
        self.message = message
        self.next = next_action
        super().__init__(f"{message} {next_action}")


class WorkspaceProblem(Exception):
    """A workspace cannot be made or read; `message` says why, `next` what to do."""

    def __init__(self, message: str, next_action: str) -> None:
        self.message = message
        self.next = next_action
        super().__init__(f"{message} {next_action}")
