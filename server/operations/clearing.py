"""Take away the workspaces of a change that is over."""

import logging
from functools import partial
from typing import TYPE_CHECKING

from ...gates.git import GitFailed
from ...gates.workspaces import SAVED_REFS
from ...gates.worktrees.problems import WorkspaceProblem
from ...schemas.records import ChangeRecord, ChangeState
from ...schemas.refusals import Refused
from ..services import Services

if TYPE_CHECKING:
    from ..store.tx import Tx

OVER = (ChangeState.LANDED, ChangeState.CANCELLED)

log = logging.getLogger(__name__)


async def clear_leftovers(services: Services) -> None:
    """Take away what is left of changes that are over: who ended them may have died before it came to that."""
    try:
        left = {workspace.change for workspace in await services.act(services.workspaces.list)}
        here = await services.act(services.workspaces.here.occupation)
        left |= {here.change} if here is not None else set()
        records = await services.read(lambda tx: _over_of(tx, left))
        for record in records:
            await services.act(partial(remove_workspaces, services, record))
    except Refused as exc:
        log.warning("workspaces of changes that are over stay until the next start: %s", exc)


def remove_workspaces(services: Services, record: ChangeRecord) -> None:
    """Remove every workspace of the change; what was not handed in is kept under refs first. Blocking.

    A workspace that cannot be saved stays, and so do the files of one that is the person's own checkout.
    """
    services.workspaces.here.leave(record.id)
    for workspace in services.workspaces.list():
        if workspace.change != record.id:
            continue
        ref = f"{SAVED_REFS}{workspace.change}-{workspace.stage}-{workspace.fence}"
        try:
            services.workspaces.save_unsaved(workspace.path, ref, when=services.clock())
            services.workspaces.remove(workspace.change, workspace.stage, workspace.fence)
        except (WorkspaceProblem, GitFailed, OSError) as exc:
            # Another server of the repository may be taking it away at this moment.
            log.warning("workspace %s stays: %s", workspace.path, exc)


def _over_of(tx: "Tx", changes: set[str]) -> list[ChangeRecord]:
    found = (tx.find_change(change) for change in sorted(changes))
    return [record for record in found if record is not None and record.state in OVER]
