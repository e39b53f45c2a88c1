"""The lines in AGENTS.md and CLAUDE.md that make agents use the stages; marked, so that they can be removed again."""

import os
import re
from pathlib import Path

from ...gates.files import replace_text

AGENTS, CLAUDE = "AGENTS.md", "CLAUDE.md"

BEGIN = "<!-- gatewright: these lines are written and removed by gatewright -->"
END = "<!-- /gatewright -->"
TEXT = """\
Changes to this repository go through gatewright: in stages, each judged by the server on the commit that is handed in.
- Take work with its MCP tools (on a shell: `gatewright`): `start_change` for a new intent, then `claim_stage`.
- Work in the workspace that the brief names and in the paths that it allows, never on `{target}` itself.
- `check_gates` tries the gates for free; `submit_artifact` hands in. A failed gate names file and line: mend it.
- Do not edit tests, gates or their settings so that they pass; what they ask about is decided by a person.
- When you cannot go on, say so with `release_stage`. Every reply ends with `next`: do that.
"""

_BLOCK = re.compile(rf"\n?{re.escape(BEGIN)}\n.*?{re.escape(END)}\n", re.DOTALL)


def write_lines(folder: Path, target: str) -> list[Path]:
    """Put the lines at the end of AGENTS.md, made when missing, and of a CLAUDE.md; returns what changed."""
    changed = []
    for file in _files(folder, with_new=True):
        before = _read(file)
        block = f"{BEGIN}\n{TEXT.format(target=target)}{END}\n"
        kept = _BLOCK.sub("", before)
        gap = "" if not kept else "\n" if kept.endswith("\n") else "\n\n"
        if (after := f"{kept}{gap}{block}") != before:
            replace_text(file, after, mode=_mode(file))
            changed.append(file)
    return changed


def remove_lines(folder: Path) -> list[Path]:
    """Take the lines away, and a file that held nothing else; returns what changed."""
    changed = []
    for file in _files(folder, with_new=False):
        before = _read(file)
        after = _BLOCK.sub("", before)
        if after == before:
            continue
        if after.strip():
            replace_text(file, after, mode=_mode(file))
        else:
            file.unlink()
        changed.append(file)
    return changed


def _files(folder: Path, *, with_new: bool) -> list[Path]:
    """Each file once, because one is often a link to the other; what lies outside of the folder is left alone."""
    found: list[Path] = []
    for name in (AGENTS, CLAUDE):
        file = Path(os.path.realpath(folder / name))
        is_wanted = file.is_file() or (with_new and name == AGENTS)
        if is_wanted and file not in found and file.is_relative_to(os.path.realpath(folder)):
            found.append(file)
    return found


def _mode(file: Path) -> int:
    return file.stat().st_mode & 0o777 if file.exists() else 0o644


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
