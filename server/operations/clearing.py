"""Take away the workspaces of a change that is over."""

import logging

from ...gates.git import GitFailed
from ...gates.problems import WorkspaceProblem
from ...gates.workspaces import SAVED_REFS
from ...schemas.records import ChangeRecord
from ..services import Services

log = logging.getLogger(__name__)


def remove_workspaces(services: Services, record: ChangeRecord) -> None:
    """Remove every workspace of the change; what was not handed in is kept under refs first. Blocking.

    A workspace that cannot be saved stays.
    """
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
