"""Level `files` on macOS: `sandbox-exec` with a profile written from the same reach. Not tried on a Mac yet.

The last rule that matches decides, so the profile denies everything first, then grants, hides, and grants what lies
deeper. Without `network` only the loopback is left.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .reach import Access, Confined, Reach

LEVEL = "files"
PROGRAM = Path("/usr/bin/sandbox-exec")

_ALWAYS = """\
(version 1)
(deny default)
(allow process-fork process-exec process-info* sysctl-read mach-lookup ipc-posix-sem ipc-posix-shm)
(allow signal (target same-sandbox))
(allow file-read-metadata)
(allow file-read* (literal "/"))
(allow file-read* file-write-data file-ioctl (subpath "/dev"))
(allow network* (local ip "localhost:*") (remote ip "localhost:*"))
(allow network* (local unix-socket) (remote unix-socket))
"""

_RULES = {
    Access.NONE: "(deny file-read* file-write*",
    Access.READ: "(allow file-read*",
    Access.WRITE: "(allow file-read* file-write*",
}


@dataclass(frozen=True)
class Seatbelt:
    """See the module."""

    reach: Reach
    level: str = LEVEL

    def confine(self, argv: Sequence[str], *, cwd: Path) -> Confined:
        """`sandbox-exec` replaces itself by the command, so that nothing stands between it and its supervisor."""
        return Confined([str(PROGRAM), "-p", profile(self.reach), *argv], cwd)


def profile(reach: Reach) -> str:
    """The whole profile as text, in the language that `sandbox-exec` reads."""
    return _ALWAYS + "".join(f"{rule}\n" for rule in _rules(reach))


def _rules(reach: Reach) -> Iterator[str]:
    for path, access in reach.layers:
        yield f"{_RULES[access]} (subpath {_quoted(path)}))"
    if reach.network:
        yield "(allow network*)"


def _quoted(path: Path) -> str:
    # `/tmp` and `/var` are links there, and rules are about where they lead.
    text = str(path.resolve()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
