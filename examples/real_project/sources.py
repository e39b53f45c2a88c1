"""Published projects as git repositories: downloaded once, each with the commit and the tag of a clone."""

import hashlib
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from processes import CommandFailed, run_command

DOWNLOAD_TIMEOUT_S = 300.0
GIT_TIMEOUT_S = 60.0


class NotRun(Exception):
    """The registry does not answer, or does not have what is pinned: nothing was tried."""


@dataclass(frozen=True)
class Archive:
    """A distribution as its authors published it: pip's or npm's, by its exact version and the sha256 of its bytes."""

    client: Literal["pip", "npm"]
    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}{'.tar.gz' if self.client == 'pip' else '.tgz'}"

    @property
    def folder(self) -> str:
        """What everything in it lies in."""
        return f"{self.name}-{self.version}" if self.client == "pip" else "package"

    @property
    def tag(self) -> str:
        """The tag that a clone of this version would have."""
        return self.version if self.client == "pip" else f"v{self.version}"


def download(archive: Archive, into: Path) -> None:
    """Have the registry's own client fetch it, unless it lies in the folder; it is checked either way.

    Raises `NotRun`.
    """
    into.mkdir(parents=True, exist_ok=True)
    file = into / archive.file_name
    if not file.exists():
        try:
            run_command(_fetch(archive, into), cwd=into, timeout_s=DOWNLOAD_TIMEOUT_S)
        except CommandFailed as problem:
            raise NotRun(str(problem)) from problem
    if not file.exists():
        raise NotRun(f"{archive.client} fetched no {file.name}.")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != archive.sha256:
        file.unlink()
        raise NotRun(f"{file.name} has the digest {found}; {archive.sha256} is pinned.")


def _fetch(archive: Archive, into: Path) -> list[str]:
    if archive.client == "npm":
        return ["npm", "pack", "--silent", "--pack-destination", str(into), f"{archive.name}@{archive.version}"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    # What tells its metadata runs before we can look at the digest, so pip looks first.
    pin = into / f"{archive.name}.txt"
    pin.write_text(f"{archive.name}=={archive.version} --hash=sha256:{archive.sha256}\n")
    return [*pip, "--no-binary=:all:", "--require-hashes", f"--dest={into}", f"--requirement={pin}"]


def make_repository(archive: Archive, sources: Path, into: Path) -> None:
    """Unpack it into `into`, without what only a distribution has, and commit it under its tag."""
    into.mkdir(parents=True)
    with tarfile.open(sources / archive.file_name) as packed:
        packed.extractall(into.parent, filter="data")
    (into.parent / archive.folder).rename(into)
    (into / "PKG-INFO").unlink(missing_ok=True)
    for commands in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "Real Project"),
        ("config", "user.email", "real.project@example.invalid"),
        ("config", "commit.gpgSign", "false"),
        ("config", "tag.gpgSign", "false"),
        ("add", "--all", "--force"),
        ("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "*.egg-info"),
        ("clean", "-d", "--force", "--quiet"),
        ("commit", "--quiet", f"--message={archive.name} {archive.version}"),
        ("tag", "--annotate", f"--message={archive.tag}", archive.tag),
    ):
        git(into, *commands)


def git(repository: Path, *arguments: str) -> str:
    """What git prints, without the last newline. Raises `CommandFailed`."""
    return run_command(["git", *arguments], cwd=repository, timeout_s=GIT_TIMEOUT_S).strip()
