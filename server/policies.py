"""Read policies from commits, each once: what a commit says never changes."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache

from ..gates.artifacts import ArtifactStore
from ..gates.objects import LINK
from ..gates.policy import Policy, PolicyInvalid, PolicyMissing, load_policy
from ..gates.repository import SharedRepository
from ..gates.trees import LINK_BYTES_MAX
from ..gates.walk import TreeEntry
from ..schemas import refusals
from ..schemas.pipeline import PIPELINE_FILE
from ..schemas.refusals import Refused

POLICY_FILE_BYTES_MAX = 1_000_000
POLICIES_KEPT = 32


class Policies:
    """The policies of one repository, always of a commit of the trusted branch."""

    def __init__(self, repository: SharedRepository, artifacts: ArtifactStore, target: str) -> None:
        self._repository = repository
        self._artifacts = artifacts
        self.target = target
        self._load = lru_cache(maxsize=POLICIES_KEPT)(self._load_uncached)

    def tip(self) -> str:
        """The commit that the trusted branch stands at; raises `Refused` (policy_missing) when there is none."""
        tip = self._repository.branch_tip(self.target)
        if tip is None:
            raise Refused(refusals.policy_missing(self.target, uncommitted=False))
        self._artifacts.fetch_base(tip)
        return tip

    def at(self, commit: str) -> Policy:
        """The policy of a commit; raises `Refused` (policy_missing, policy_invalid). Blocking: git is asked."""
        return self._load(commit)

    def _load_uncached(self, commit: str) -> Policy:
        try:
            return load_policy(_CommitSource(self._artifacts, commit), commit=commit, target_recorded=self.target)
        except PolicyMissing:
            raise Refused(refusals.policy_missing(self.target, uncommitted=self._is_uncommitted())) from None
        except PolicyInvalid as exc:
            raise Refused(refusals.policy_invalid(self.target, str(exc))) from exc

    def _is_uncommitted(self) -> bool:
        main = self._repository.main_worktree
        return main is not None and (main / PIPELINE_FILE).is_file()


class _CommitSource:
    """What `load_policy` reads: one commit of the artifact store."""

    def __init__(self, artifacts: ArtifactStore, commit: str) -> None:
        self._artifacts = artifacts
        self._commit = commit

    def read(self, path: str) -> bytes | None:
        return self._artifacts.read(self._commit, path, POLICY_FILE_BYTES_MAX)

    def paths(self) -> Iterable[tuple[str, str]]:
        return [(entry.path, entry.oid) for entry in self._entries]

    def links(self) -> Mapping[str, str]:
        links = [entry for entry in self._entries if entry.mode == LINK]
        texts = self._artifacts.blobs([entry.oid for entry in links], bytes_max=LINK_BYTES_MAX)
        return {entry.path: texts[entry.oid].decode("utf-8", "surrogateescape") for entry in links}

    @cached_property
    def _entries(self) -> Sequence[TreeEntry]:
        return tuple(self._artifacts.entries(self._commit))
