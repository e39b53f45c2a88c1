"""A user's repository to take artifacts from, and what the tests of the store have in common."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from gatewright.gates.artifacts import ArtifactStore

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Project:
    """A user's repository, made and attacked with plain git."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.common_dir = path / ".git"
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(["git", *arguments], cwd=self.path, input=stdin, capture_output=True, check=True)
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, files: dict[str, str | None], message: str = "work") -> str:
        for name, text in files.items():
            place = self.path / name
            if text is None:
                place.unlink()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def object(self, kind: str, content: bytes) -> str:
        return self.git("hash-object", "-t", kind, "-w", "--literally", "--stdin", stdin=content)

    def tree(self, *items: tuple[str, bytes, str]) -> str:
        """A tree object of (mode, name, id), exactly as given."""
        return self.object("tree", b"".join(m.encode() + b" " + n + b"\0" + bytes.fromhex(o) for m, n, o in items))

    def commit_of(self, tree: str, *parents: str) -> str:
        return self.git("commit-tree", tree, "-m", "made", *(part for parent in parents for part in ("-p", parent)))

    def loose(self, oid: str) -> Path:
        return self.common_dir / "objects" / oid[:2] / oid[2:]


def paths_of(store: ArtifactStore, commit: str) -> list[str]:
    return [entry.path for entry in store.entries(commit)]
