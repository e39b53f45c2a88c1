"""`gatewright init`: write gatewright.yaml for this project, record the trusted branch, and say what comes next."""

import shutil
import subprocess
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Sequence
from pathlib import Path

from ...gates.git import GitFailed
from ...gates.repository import SharedRepository
from ...gates.text import number_of
from ...gates.worktrees.worktree import user_environment
from ...schemas.pipeline import PIPELINE_FILE
from ..guard import OVERRIDE, GuardKind, guard_state, install_guard
from .agents_file import write_lines
from .clients import CLIENTS
from .command import CannotGoOn, Exit
from .opening import TARGET, open_git
from .project import Project, look_at
from .template import TEMPLATES, pipeline_text
from .terminal import Terminal

COMMIT_TIMEOUT_S = 600.0
COMMIT_MESSAGE = "Use gatewright"
PIPELINE_BYTES_MAX = 1_000_000
INNER_TOLD_MAX = 3
AGENTS_QUESTION = "Add six lines to AGENTS.md, so that agents use the stages?"
GUARD_QUESTION = f"Let {{target}} move by landings only (a git hook; {OVERRIDE}=1 overrides)?"
# The program of a client, by which it is found, where it has another name.
PROGRAMS = {"claude-code": "claude", "vscode": "code"}


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--template", choices=TEMPLATES, default=TEMPLATES[0], help="which stages")
    parser.add_argument("--target", metavar="BRANCH", help="the trusted branch (default: the one that work goes to)")
    parser.add_argument("--force", action="store_true", help=f"write {PIPELINE_FILE} anew")
    parser.add_argument("--commit", action="store_true", help="commit what was written")
    parser.add_argument("--agents-md", action=BooleanOptionalAction, help="six lines in AGENTS.md (and CLAUDE.md)")
    parser.add_argument("--guard", action=BooleanOptionalAction, help="let the branch move by landings only")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Set the repository up; a second time it says what is there. Nothing is committed without `--commit`."""
    repository = open_git(options)
    top = repository.get_worktree()
    target = _choose_target(repository, options.target)
    project = look_at(top)
    _say_state(repository, target, terminal)
    committer = _committer(repository, target) if options.commit else ""
    written = _write_pipeline(top, project, target, options, terminal)
    _record_target(repository, target, terminal)
    if _wanted(AGENTS_QUESTION, terminal, flag=options.agents_md):
        changed = write_lines(top, target)
        written += changed
        terminal.say("\n".join(f"Wrote six lines for agents into {_shown(file, top)}." for file in changed))
    if _wanted(GUARD_QUESTION.format(target=target), terminal, flag=options.guard):
        state = install_guard(repository, target)
        terminal.say(state.sentence)
        if state.lines and state.kind is not GuardKind.ACTIVE:
            terminal.say(state.lines)
    loads = _problems_of(top / PIPELINE_FILE) is None
    if options.commit and loads:
        _commit(repository, target, [top / PIPELINE_FILE, *written], committer, terminal)
    elif options.commit:
        # On the trusted branch it would take the place of one that may load, and stop everybody.
        terminal.say("Nothing was committed: it has to load first.", "yellow")
    _say_next(repository, top, target, terminal)
    return Exit.REFUSED if options.commit and not loads else Exit.OK


def _choose_target(repository: SharedRepository, given: str | None) -> str:
    """The trusted branch; raises `CannotGoOn` when there is no telling, or when another one is recorded."""
    from ..store import StoreMissing
    from .opening import store_of

    try:
        with store_of(repository) as store:
            recorded = store.read(lambda tx: tx.meta_get(TARGET))
    except StoreMissing:
        recorded = None
    target = given or recorded or repository.default_target()
    if repository.branch_tip(target) is None and target != repository.current_branch():
        if given:
            raise CannotGoOn(f"There is no branch '{target}'.", "Make it first, or name another one.")
        message = "HEAD is detached and there is no branch main or master: the trusted branch is not clear."
        raise CannotGoOn(message, "Name it: gatewright init --target BRANCH.", code="detached_head")
    if recorded is not None and target != recorded:
        # Policy is read from this branch, so whoever moves the record decides what holds.
        message = f"'{recorded}' is recorded as the trusted branch."
        raise CannotGoOn(message, "To trust another one: gatewright uninstall, then init again.", code="not_allowed")
    return target


def _say_state(repository: SharedRepository, target: str, terminal: Terminal) -> None:
    """What a person should know before: no commit yet, another branch, a detached HEAD, uncommitted changes."""
    branch = repository.current_branch()
    if repository.find_head() is None:
        terminal.say(f"There is no commit yet: agents can begin once {target} has one.", "yellow")
    elif branch is None:
        terminal.say(f"HEAD is detached here; the trusted branch is {target}.", "yellow")
    elif branch != target:
        terminal.say(f"You are on {branch}; the trusted branch is {target}.", "yellow")
    if (repository.common_dir / "shallow").exists():
        terminal.say("This is a shallow clone, in which nothing can be judged yet: git fetch --unshallow", "yellow")
    if repository.find_head() is not None and repository.is_dirty():
        terminal.say("There are uncommitted changes here; they stay as they are.", "dim")


def _write_pipeline(top: Path, project: Project, target: str, options: Namespace, terminal: Terminal) -> list[Path]:
    """Write the file unless there is one; returns what was written."""
    from ...gates.files import replace_text

    file = top / PIPELINE_FILE
    if file.exists() and not options.force:
        terminal.say(f"{PIPELINE_FILE} is there already; --force writes it anew.")
        _say_whether_it_loads(file, terminal)
        return []
    replace_text(file, pipeline_text(project, target=target, template=options.template), mode=0o644)
    terminal.say(f"Wrote {PIPELINE_FILE} for {_described(project)}.", "bold")
    if not project.test_files and (project.is_python or not project.languages):
        terminal.say("No tests were found, so there is no test gate: the file says how to add one.", "yellow")
    if not project.languages:
        terminal.say("Say in it what can tell good from bad; or, once there is code: gatewright init --force", "yellow")
    if project.is_python and "pytest" in project.loose and project.test_files:
        terminal.say("pytest is declared nowhere; the set-up installs it by name.", "yellow")
    for sentence in project.declared.unread:
        terminal.say(f"Not read: {sentence}", "yellow")
    for sentence in project.node.notes if project.node is not None else ():
        terminal.say(sentence, "yellow")
    _say_inner(project, terminal)
    _say_whether_it_loads(file, terminal)
    return [file]


def _say_inner(project: Project, terminal: Terminal) -> None:
    """A monorepo: what of it has no gates yet."""
    if not project.inner:
        return
    more = len(project.inner) - INNER_TOLD_MAX
    names = ", ".join(project.inner[:INNER_TOLD_MAX]) + (f" and {more} more" if more > 0 else "")
    example = f'command: {{name: inner, run: "cd {project.inner[0]} && make test"}}'
    terminal.say(f"Not read: projects of their own in {names}; add gates for them, such as {example}.", "yellow")


def _say_whether_it_loads(file: Path, terminal: Terminal) -> None:
    problems = _problems_of(file)
    if problems is not None:
        terminal.say(f"It does not load yet, so no work can start:\n{problems}", "yellow")


def _problems_of(file: Path) -> str | None:
    """Why the file does not load, a line each; None when it does."""
    from ...gates.policy import PolicyInvalid, parse_pipeline

    try:
        parse_pipeline(file.read_bytes())
    except PolicyInvalid as exc:
        return str(exc)
    return None


def _record_target(repository: SharedRepository, target: str, terminal: Terminal) -> None:
    from ..store import open_store

    store = open_store(repository.state_dir, create=True)
    try:
        store.run(lambda tx: tx.meta_set(TARGET, target))
    finally:
        store.close()
    terminal.say(f"Trusted branch: {target} (kept in {repository.state_dir}).")


def _wanted(question: str, terminal: Terminal, *, flag: bool | None) -> bool:
    """What the flag says; without it, what the person says."""
    if flag is None and terminal.is_interactive:
        return terminal.confirm(question)
    return bool(flag)


def _commit(
    repository: SharedRepository, target: str, files: Sequence[Path], committer: str, terminal: Terminal
) -> None:
    """Commit these files and nothing else, as the person, who asked for it; where that fails nothing stays staged."""
    top = repository.get_worktree()
    names = list(dict.fromkeys(str(file) for file in files))
    new = [name for name in names if not _git(top, "ls-files", "--", name)]
    if new:
        _git(top, "add", "--", *new)
    if not _git(top, "status", "--porcelain", "--", *names):
        terminal.say(f"It is on {target} already; there is nothing to commit.")
        return
    try:
        _git(top, "commit", "--quiet", "--only", "-m", COMMIT_MESSAGE, "--", *names)
    except GitFailed:
        if new:
            _git(top, "rm", "--quiet", "--cached", "--", *new)
        raise
    terminal.say(f"Committed on {target} as {committer}.")


def _committer(repository: SharedRepository, target: str) -> str:
    """Name and address of whoever commits; raises `CannotGoOn`, before anything is done, where that could not be."""
    if repository.current_branch() != target:
        raise CannotGoOn(f"--commit commits on {target}, which is not checked out here.", f"git switch {target}")
    try:
        # Behind the address stand the time and its zone.
        _, committer = (
            _git(repository.get_worktree(), "var", name).rsplit(" ", 2)[0]
            for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT")
        )
        return committer
    except GitFailed as exc:
        how = "git config user.name NAME, git config user.email ADDRESS; then gatewright init --commit again."
        raise CannotGoOn("git does not know who commits, so nothing was written.", how, code="git_failed") from exc


def _git(top: Path, *command: str) -> str:
    """What the person's git prints; hooks run, our own guard lets it pass. Raises `GitFailed`."""
    environment = {**user_environment(), OVERRIDE: "1"}
    git = ["git", "-C", str(top), *command]
    done = subprocess.run(git, env=environment, capture_output=True, text=True, timeout=COMMIT_TIMEOUT_S, check=False)
    if done.returncode:
        raise GitFailed(command, done.returncode, done.stderr or done.stdout)
    return done.stdout


def _say_next(repository: SharedRepository, top: Path, target: str, terminal: Terminal) -> None:
    tip = repository.branch_tip(target)
    committed = None if tip is None else repository.read_file(tip, PIPELINE_FILE, PIPELINE_BYTES_MAX)
    steps = []
    loads = _problems_of(top / PIPELINE_FILE) is None
    if not loads or committed != (top / PIPELINE_FILE).read_bytes():
        override = f"{OVERRIDE}=1 " if guard_state(repository, target).kind is GuardKind.ACTIVE else ""
        look = "Read {}" if loads else "Mend {} until gatewright check-pipeline calls it good"
        steps.append(
            f"{look.format(PIPELINE_FILE)}, then commit it on {target}: git add {PIPELINE_FILE} && "
            f'{override}git commit -m "{COMMIT_MESSAGE}"'
        )
    steps.append("Try every gate on it: gatewright doctor")
    steps.append(f"Plug in your client: {_install_command()}; then restart the client, and ask it for a change")
    terminal.say("\nNext:", "bold")
    terminal.say("\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1)))
    terminal.say("To undo everything: gatewright uninstall", "dim")


def _install_command() -> str:
    """For the clients that are on this machine; else for all."""
    here = [name for name in CLIENTS if shutil.which(PROGRAMS.get(name, name))]
    if here:
        return " or ".join(f"gatewright install {name}" for name in here)
    first, *others = CLIENTS
    return f"gatewright install {first} (or {', '.join(others)})"


def _described(project: Project) -> str:
    if not project.languages:
        return "this repository, in which no known language was found"
    tests = f", {number_of(len(project.test_files), 'test files')}"
    lists = [f"extra '{name}'" for name in project.extras] + [f"group '{name}'" for name in project.groups]
    lists += list(project.requirements_files)
    needs = f", requirements from {' and '.join(lists)}" if lists and project.is_python else ""
    return f"{' and '.join(project.languages)}{tests if project.test_files else ''}{needs}"


def _shown(file: Path, top: Path) -> str:
    return str(file.relative_to(top)) if file.is_relative_to(top) else str(file)
