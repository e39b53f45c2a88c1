"""Read policies from commits, each once: what a commit says never changes."""

from functools import lru_cache

from ..gates.artifact_store.objects import BadArtifact
from ..gates.artifacts import ArtifactStore
from ..gates.policies.policy_source import StoredCommit
from ..gates.policy import Policy, PolicyInvalid, PolicyMissing, load_policy
from ..gates.repository import SharedRepository
from ..gates.worktrees.tips import Tips
from ..schemas import refusals
from ..schemas.pipeline import PIPELINE_FILE
from ..schemas.refusals import Refused

POLICIES_KEPT = 32


class Policies:
    """The policies of one repository, always of a commit of the trusted branch."""

    def __init__(self, repository: SharedRepository, artifacts: ArtifactStore, target: str) -> None:
        self._repository = repository
        self._artifacts = artifacts
        self.target = target
        self._tips = Tips(repository.common_dir, repository.resolve)
        self._load = lru_cache(maxsize=POLICIES_KEPT)(self._load_uncached)

    def tip(self) -> str:
        """The commit that the trusted branch stands at now; raises `Refused` (policy_missing) when there is none.

        Also (bad_artifact) when the repository cannot give it whole, as a shallow clone cannot. Never an old answer:
        raises `RemoteProblem` when a remote that has to be asked does not say.
        """
        self._repository.refresh(self.target)
        return self._tip()

    def known_tip(self) -> str:
        """The same for whoever decides nothing by it: where the branch stood when it was last asked for will do."""
        self._repository.refresh(self.target, is_binding=False)
        return self._tip()

    def is_tip(self, commit: str) -> bool:
        """Whether the trusted branch was last seen at this commit."""
        return self._tips.find(self.target) == commit

    def at(self, commit: str) -> Policy:
        """The policy of a commit; raises `Refused` (policy_missing, policy_invalid). Blocking: git is asked."""
        return self._load(commit)

    def _tip(self) -> str:
        tip = self._tips.find(self.target)
        if tip is None:
            raise Refused(refusals.policy_missing(self.target, uncommitted=False))
        try:
            self._artifacts.fetch_base(tip)
        except BadArtifact as exc:
            raise Refused(refusals.bad_base(self.target, str(exc))) from exc
        return tip

    def _load_uncached(self, commit: str) -> Policy:
        try:
            return load_policy(StoredCommit(self._artifacts, commit), commit=commit, target_recorded=self.target)
        except PolicyMissing:
            raise Refused(refusals.policy_missing(self.target, uncommitted=self._is_uncommitted())) from None
        except PolicyInvalid as exc:
            raise Refused(refusals.policy_invalid(self.target, str(exc))) from exc

    def _is_uncommitted(self) -> bool:
        main = self._repository.main_worktree
        return main is not None and (main / PIPELINE_FILE).is_file()
