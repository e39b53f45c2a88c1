"""`gatewright stop-hook`: run by Claude Code when its agent wants to end a turn, with a JSON object on standard input.

2, and the reason on standard error, keeps the agent going: a stage or a review that this session claimed is still its
own and was not handed in. It says so once: the next end of the same turn (`stop_hook_active`) is let through, and so is
every one where gatewright has nothing to say.
"""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..rendezvous import STATE_FOLDER, NoServer, find_common_dir
from .command import Exit
from .terminal import Terminal

if TYPE_CHECKING:
    from ..services import Services

INPUT_CHARS_MAX = 1_000_000
TRANSCRIPT_BYTES_MAX = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024
# Longer than any lease; a piece begins where the one before ends, less this.
LEASE_BYTES_MAX = 200
BLOCK = 2
"""What Claude Code takes as "go on"; it shows the agent standard error."""


def configure(_command: str, parser: ArgumentParser) -> None:
    """It takes no arguments: everything is on standard input."""
    parser.epilog = "gatewright install claude-code --hooks shows how Claude Code is told of it."


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """2 to keep the agent going, else 0."""
    told = _read_input()
    if told.get("stop_hook_active") is not False and "stop_hook_active" in told:
        return Exit.OK
    folder = getattr(options, "repo", None) or told.get("cwd") or os.environ.get("CLAUDE_PROJECT_DIR") or os.curdir
    common_dir = _find_store(str(folder))
    if common_dir is None:
        return Exit.OK
    found = list(dict.fromkeys(_leases_in(str(told.get("transcript_path") or ""))))
    reason = _reason(common_dir, Path(str(folder)), found)
    if reason is None:
        return Exit.OK
    terminal.warn(reason)
    return BLOCK


def _read_input() -> dict[str, object]:
    try:
        told = json.loads(sys.stdin.read(INPUT_CHARS_MAX))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _find_store(folder: str) -> Path | None:
    """The common folder of a repository that is set up for gatewright; None anywhere else."""
    from ..store.creation import DATABASE_FILE

    try:
        common_dir = Path(find_common_dir(folder))
    except NoServer:
        return None
    return common_dir if (common_dir / STATE_FOLDER / DATABASE_FILE).exists() else None


def _leases_in(transcript: str) -> Iterator[str]:
    """Every lease that the session's transcript shows, the oldest first; of a huge one those in its last part."""
    import re

    from ...schemas.ids import LEASE

    form = re.compile(LEASE.pattern.encode())
    try:
        with Path(transcript).open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - TRANSCRIPT_BYTES_MAX))
            kept = b""
            while piece := stream.read(PIECE_BYTES):
                yield from (found[0].decode() for found in form.finditer(kept + piece))
                kept = (kept + piece)[-LEASE_BYTES_MAX:]
    except OSError:
        return


def _reason(common_dir: Path, folder: Path, leases: list[str]) -> str | None:
    """Why the turn should not end yet; None when it may."""
    from ...gates.workspaces import Workspaces
    from ..composition import open_services
    from ..store import StoreMissing, StoreUnavailable, StoreUnusable

    try:
        services = open_services(common_dir)
    except (StoreMissing, StoreUnavailable, StoreUnusable):
        return None
    try:
        here = Workspaces(services.repository).find_lease(folder)
        every: list[str] = leases if here is None else [*leases, here]
        held = [told for lease in dict.fromkeys(every) if (told := _held(services, lease)) is not None]
    finally:
        services.store.close()
    if not held:
        return None
    return (
        f"gatewright: {' '.join(held)} Hand it in (submit_artifact, review_artifact) with its lease, or let it go with "
        "release_stage and say why. If you wait for an answer of the person, say what you wait for and end again."
    )


def _held(services: "Services", lease: str) -> str | None:
    """What is still held under a lease and was not handed in, as a sentence; None when nothing is."""
    from ...schemas.ids import LeaseName
    from ...schemas.records import StageState
    from ...schemas.refusals import Refused

    try:
        name = services.leases.check_any(lease)
    except Refused:
        return None
    record = services.store.read(lambda tx: tx.find_change(name.change))
    stage = None if record is None else record.find_stage(name.stage)
    if stage is None:
        return None
    if isinstance(name, LeaseName):
        is_held = stage.state is StageState.CLAIMED and stage.lease is not None and stage.lease.fence == name.fence
        what = "its last attempt failed and was not mended" if stage.failed else "nothing of it was handed in"
        return f"'{name.stage}' of {name.change} is yours (lease {lease}), and {what}." if is_held else None
    current = stage.current
    is_held = current is not None and any(given.number == name.number for given in current.review_leases)
    return f"The review of '{name.stage}' of {name.change} is yours (lease {lease}) and not done." if is_held else None
