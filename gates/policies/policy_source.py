"""A commit of the artifact store, as a policy is read from it."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from ..artifact_store.objects import LINK
from ..artifact_store.trees import LINK_BYTES_MAX
from ..artifact_store.walk import TreeEntry
from ..artifacts import ArtifactStore

POLICY_FILE_BYTES_MAX = 1_000_000


class StoredCommit:
    """What `load_policy` reads (a `PolicySource`)."""

    def __init__(self, artifacts: ArtifactStore, commit: str) -> None:
        self._artifacts = artifacts
        self._commit = commit

    def read(self, path: str) -> bytes | None:
        """The bytes of the file; None when there is none."""
        return self._artifacts.read(self._commit, path, POLICY_FILE_BYTES_MAX)

    def paths(self) -> Iterable[tuple[str, str]]:
        """Every file with the id of its blob."""
        return [(entry.path, entry.oid) for entry in self._entries]

    def links(self) -> Mapping[str, str]:
        """The targets of the links."""
        links = [entry for entry in self._entries if entry.mode == LINK]
        texts = self._artifacts.blobs([entry.oid for entry in links], bytes_max=LINK_BYTES_MAX)
        return {entry.path: texts[entry.oid].decode("utf-8", "surrogateescape") for entry in links}

    @cached_property
    def _entries(self) -> Sequence[TreeEntry]:
        return tuple(self._artifacts.entries(self._commit))
