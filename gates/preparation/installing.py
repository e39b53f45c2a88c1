"""What `install:` makes for one gate: a private layer over the shared environment, with the artifact in it."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from anyio import to_thread

from ...schemas.pipeline import Install, Limits
from ..environment import PreparedEnvironment, SetupFailed, judge_run, process_limits, venv_of
from ..process import allowed_environment, by_shell, run_process
from ..sandbox import choose
from .layer import make_layer
from .stand_ins import programs_of, stand_ins

INSTALL_TIMEOUT_S = 600.0

# What installs the artifact finds its dependencies in the environment; an index would only hide that one is missing.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_INPUT": "1", "UV_OFFLINE": "1", "NPM_CONFIG_OFFLINE": "true"}


async def layer_install(
    prepared: PreparedEnvironment,
    install: Install | None,
    *,
    tree: Path,
    into: Path,
    limits: Limits,
    reads: Sequence[Path] = (),
) -> PreparedEnvironment | SetupFailed:
    """Put the artifact in `tree` (a private copy) into a layer of its own in `into`, an empty folder.

    Python programs then run from the layer, which falls back to the shared environment for everything else, so that
    what is installed by gates never reaches the shared one. Other kept folders are linked into the tree. `reads` is
    what the installation may read besides, such as the objects that the tree's `.git` refers to.
    """
    await to_thread.run_sync(_link_kept, prepared, tree)
    has_venv = prepared.root is not None and venv_of(prepared.root).is_dir()
    if install is None and not has_venv:
        return prepared
    venv, home, temporary = venv_of(into), into / "home", into / "temporary"
    for folder in (venv, home, temporary):
        folder.mkdir()
    enclose = (await choose()).enclose
    bounds = process_limits(limits, INSTALL_TIMEOUT_S)
    bare = allowed_environment(path=prepared.path, home=home, tmp=home, extra=prepared.variables)
    asking = enclose(prepared.reach(writes=[home], temporary=temporary))
    problem = await make_layer(prepared.python, venv, environment=bare, limits=bounds, sandbox=asking)
    if problem is not None:
        return SetupFailed(problem, "", could_not_judge=True)
    await to_thread.run_sync(_link, venv, venv_of(tree), tree)
    layered = replace(
        prepared,
        path=f"{venv / 'bin'}{os.pathsep}{prepared.path}",
        python=venv / "bin" / "python",
        variables={**prepared.variables, "VIRTUAL_ENV": str(venv)},
        reads=(*prepared.reads, venv),
    )
    if install is None:
        return layered
    environment = allowed_environment(path=layered.path, home=home, tmp=home, extra={**layered.variables, **OFFLINE})
    command = by_shell(install.run)
    sandbox = enclose(layered.reach(*reads, writes=[tree, venv, home], temporary=temporary))
    before = await to_thread.run_sync(programs_of, venv)
    finished = await run_process(command, cwd=tree, environment=environment, limits=bounds, sandbox=sandbox)
    found = await to_thread.run_sync(stand_ins, venv, before, prepared.path)
    return judge_run("install", finished) or replace(layered, stand_ins=found)


def _link_kept(prepared: PreparedEnvironment, tree: Path) -> None:
    for path in prepared.keep if prepared.root else ():
        if path != ".venv" and prepared.root:
            _link(prepared.root / path, tree / path, tree)


def _link(target: Path, link: Path, tree: Path) -> None:
    """Make the link unless the artifact has something there, and keep it out of what git calls untracked.

    Where a folder on the way is a link of the artifact's, none is made: it would be made wherever that leads.
    """
    if os.path.lexists(link) or not link.parent.is_dir() or not link.parent.resolve().is_relative_to(tree.resolve()):
        return
    link.symlink_to(target)
    if not (tree / ".git").is_dir():
        return
    (tree / ".git" / "info").mkdir(exist_ok=True)
    with (tree / ".git" / "info" / "exclude").open("a") as exclude:
        exclude.write(f"/{link.relative_to(tree)}\n")
