"""A commit of the user's own repository, as a policy is read from it; a file may stand in for the committed one."""

from collections.abc import Iterable, Mapping

from ...gates.artifact_store.objects import LINK
from ...gates.git import Git
from ...gates.repository import SharedRepository

FILE_BYTES_MAX = 1_000_000


class CommitSource:
    """Reads with git, before there is any store of ours. `instead` maps paths to contents that are not committed."""

    def __init__(self, repository: SharedRepository, commit: str | None, instead: Mapping[str, bytes]) -> None:
        self._repository = repository
        self._commit = commit
        self._instead = instead

    def read(self, path: str) -> bytes | None:
        """The bytes of the file; None when there is none."""
        if path in self._instead:
            return self._instead[path]
        return None if self._commit is None else self._repository.read_file(self._commit, path, FILE_BYTES_MAX)

    def paths(self) -> Iterable[tuple[str, str]]:
        """Every committed file with the id of its blob."""
        return ((path, oid) for _, oid, path in self._listing())

    def links(self) -> Mapping[str, str]:
        """The targets of the committed links."""
        texts = {path: self.read(path) for mode, _, path in self._listing() if mode == LINK}
        return {path: text.decode("utf-8", "surrogateescape") for path, text in texts.items() if text is not None}

    def _listing(self) -> Iterable[tuple[str, str, str]]:
        """Mode, id and path of every committed file."""
        if self._commit is None:
            return
        listing = Git(self._repository.common_dir).run("ls-tree", "-r", "-z", "--full-tree", self._commit)
        for entry in listing.decode("utf-8", "surrogateescape").split("\0"):
            header, tab, path = entry.partition("\t")
            if tab:
                mode, _, oid = header.split()
                yield mode, oid, path
