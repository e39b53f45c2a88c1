"""A repository that was moved with its workspaces inside: git knows them by absolute paths, which lead nowhere now."""

import os
from pathlib import Path

from ..files import replace_text
from .worktree import linked_git_dirs


def follow_move(common_dir: Path, root: Path) -> None:
    """Have git find the worktrees below `root` where they are now; nothing is done when any is where git believes.

    Only those are followed whose recorded place is gone and of whose name there is a folder below `root`: what a copied
    repository has recorded is the original's.
    """
    for admin, place in linked_git_dirs(common_dir):
        if place.parent.parts[-2:] != root.parts[-2:]:
            continue
        if os.path.lexists(place):
            return
        now = root / place.name
        if now.is_dir() and not now.is_symlink():
            replace_text(now / ".git", f"gitdir: {admin}\n", mode=0o644)
            replace_text(admin / "gitdir", f"{now / '.git'}\n", mode=0o644)
