"""Published projects as git repositories: downloaded once, each with the commit and the tag of a clone."""

import sys
import tarfile
from pathlib import Path

from processes import CommandFailed, run_command
from project import Project

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
DOWNLOAD_TIMEOUT_S = 300.0
GIT_TIMEOUT_S = 60.0


class NotRun(Exception):
    """The registry does not answer, or does not have what is pinned: nothing was tried."""


def download(folder: Path) -> None:
    """Have pip fetch and check every pinned source distribution, unless it lies in the folder. Raises `NotRun`."""
    folder.mkdir(parents=True, exist_ok=True)
    pinned = [line.split() for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    for requirement, digest in pinned:
        if list(folder.glob(f"{requirement.replace('==', '-')}.tar.gz")):
            continue
        # One at a time: what one distribution needs to tell its metadata has no digest here, so no file of
        # requirements with digests can be given to a build in isolation that honours it.
        pin = folder / "pin.txt"
        pin.write_text(f"{requirement} {digest}\n")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        argv = [*pip, "--no-binary=:all:", "--require-hashes", f"--dest={folder}", f"--requirement={pin}"]
        try:
            run_command(argv, cwd=folder, timeout_s=DOWNLOAD_TIMEOUT_S)
        except CommandFailed as problem:
            raise NotRun(str(problem)) from problem
        finally:
            pin.unlink()


def make_repository(project: Project, sources: Path, into: Path) -> None:
    """Unpack the project into `into`, without what only a distribution has, and commit it under its tag."""
    into.mkdir(parents=True)
    with tarfile.open(sources / f"{project.name}-{project.tag}.tar.gz") as archive:
        archive.extractall(into.parent, filter="data")
    (into.parent / f"{project.name}-{project.tag}").rename(into)
    (into / "PKG-INFO").unlink()
    for commands in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "Real Project"),
        ("config", "user.email", "real.project@example.invalid"),
        ("config", "commit.gpgSign", "false"),
        ("config", "tag.gpgSign", "false"),
        ("add", "--all", "--force"),
        ("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "*.egg-info"),
        ("clean", "-d", "--force", "--quiet"),
        ("commit", "--quiet", f"--message={project.name} {project.tag}"),
        ("tag", "--annotate", f"--message={project.tag}", project.tag),
    ):
        git(into, *commands)


def git(repository: Path, *arguments: str) -> str:
    """What git prints, without the last newline. Raises `CommandFailed`."""
    return run_command(["git", *arguments], cwd=repository, timeout_s=GIT_TIMEOUT_S).strip()
