"""Where clients keep settings whose place depends on the system, the person or what is there already."""

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from .client import NAME

_DESKTOP_FILE = "claude_desktop_config.json"
_NAME_CHARS_MAX = 40


def desktop_file(_top: Path) -> Path:
    """Claude Desktop's settings, for all of the user's projects."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Claude" / _DESKTOP_FILE
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "Claude" / _DESKTOP_FILE


def desktop_name(servers: Mapping[str, object], top: Path) -> str:
    """The name of this repository's entry among those of others: ours, ours with the folder's name, or with more."""
    plain = re.sub(r"[^a-z0-9]+", "-", top.name.lower()).strip("-")[:_NAME_CHARS_MAX]
    digest = hashlib.sha256(os.fsencode(top)).hexdigest()[:8]
    names = (NAME, f"{NAME}-{plain}" if plain else NAME, f"{NAME}-{digest}")
    there = [name for name in names if _repository_of(servers.get(name)) == str(top)]
    return there[0] if there else next((name for name in names if name not in servers), names[-1])


def opencode_file(top: Path) -> Path:
    """The project's file, by the name that it has already."""
    commented = top / "opencode.jsonc"
    return commented if commented.exists() else top / "opencode.json"


def _repository_of(entry: object) -> str | None:
    """The repository that an entry's arguments name."""
    arguments = entry.get("args") if isinstance(entry, Mapping) else None
    match arguments:
        case [*_, "--repo", str(path)]:
            return path
        case _:
            return None
