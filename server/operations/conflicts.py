"""A spec conflict as the earlier stage is told of it: where in its work it lies, and at what it was seen."""

import re
from dataclasses import replace

from ...gates.machine.commands import Release
from ...schemas.records import AttemptState, ChangeRecord
from ..services import Services

PATHS_MAX = 5
# A word of the reason that may be a path, with a line behind a colon.
_PLACE = re.compile(r"([^\s'\"`(),;:]*[^\s'\"`(),;:.])(?::([1-9][0-9]{0,6})\b)?")


def with_evidence(services: Services, record: ChangeRecord, command: Release) -> Release:
    """The command with the attempt that it was seen in, and the places of the earlier stage that it is about. Blocking.

    Those are the files of its artifact that the reason names, else what that stage had written.
    """
    stage, source = record.find_stage(command.stage), record.find_stage(command.upstream or "")
    artifact = None if source is None else source.artifact
    if stage is None or artifact is None:
        # What is wrong with that is refused where it is decided.
        return command
    written = [change.path for change in services.artifacts.changes(artifact.base, artifact.commit) if change.new_oid]
    known = {entry.path for entry in services.artifacts.entries(artifact.commit)}
    named = [f"{path}:{line}" if line else path for path, line in _PLACE.findall(command.reason) if path in known]
    paths = tuple(dict.fromkeys(named or written))[:PATHS_MAX]
    seen = next((a for a in reversed(stage.attempts) if a.state is AttemptState.FAILED), None)
    about = f"about commit {artifact.commit} of '{command.upstream}'"
    if seen is not None:
        call = f'get_evidence(change="{record.id}", stage="{stage.name}", attempt={seen.number})'
        about = f"{about}, seen in attempt {seen.number}, commit {seen.commit} ({call})"
    return replace(command, reason=f"{about}: {command.reason}", paths=paths)
