"""`gatewright check-pipeline`: every problem of a pipeline with its line, or what it says: stages, gates, digest."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ...gates.kinds import KINDS
from ...gates.policy import Policy, PolicyInvalid, PolicyMissing, land_gates_of, load_policy, parse_pipeline
from ...gates.text import number_of
from ...schemas.pipeline import PIPELINE_FILE, GateSpec
from .command import CannotGoOn, Exit
from .commit_source import FILE_BYTES_MAX, CommitSource
from .opening import TARGET, open_git, store_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ...gates.repository import SharedRepository


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", nargs="?", help=f"default: {PIPELINE_FILE} of this checkout")
    parser.add_argument("--ref", metavar="REF", help="the file of this commit or branch instead")
    parser.add_argument("--json", action="store_true", help="print the problems, or the digest, as data")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """0 when it loads, 3 when not."""
    repository = open_git(options)
    recorded = _find_recorded_target(repository)
    data, commit = _read(repository, options, recorded)
    source = CommitSource(repository, commit, {PIPELINE_FILE: data})
    try:
        target = recorded or parse_pipeline(data).target
        policy = load_policy(source, commit=commit or "", target_recorded=target)
    except PolicyInvalid as exc:
        return _tell_problems(exc, terminal, as_json=options.json)
    if options.json:
        stages = {name: [gate.name for gate in stage.gates] for name, stage in policy.pipeline.stages.items()}
        told = {"ok": True, "digest": policy.digest, "stages": stages, "problems": []}
        terminal.write_data(json.dumps(told, indent=2) + "\n")
    else:
        _tell_policy(policy, terminal)
        _tell_what_is_missing(policy, {path for path, _ in source.paths()}, terminal)
        _tell_where_it_stands(repository, data, target, options, terminal)
    return Exit.OK


def _read(repository: "SharedRepository", options: Namespace, recorded: str | None) -> tuple[bytes, str | None]:
    """The file, and the commit whose other files count with it."""
    if options.ref is not None or (repository.is_bare and options.file is None):
        ref = options.ref or f"refs/heads/{recorded or repository.default_target()}"
        commit = repository.resolve(ref)
        if commit is None:
            raise CannotGoOn(f"'{ref}' names no commit here.", "git branch --all lists the branches.")
        data = repository.read_file(commit, PIPELINE_FILE, FILE_BYTES_MAX)
        if data is None:
            raise PolicyMissing(commit, ref)
        return data, commit
    file = Path(options.file) if options.file is not None else repository.get_worktree() / PIPELINE_FILE
    try:
        return file.read_bytes(), repository.find_head()
    except FileNotFoundError as exc:
        raise CannotGoOn(f"There is no {file}.", "gatewright init writes one.", code="policy_missing") from exc


def _find_recorded_target(repository: "SharedRepository") -> str | None:
    from ..store import StoreMissing

    try:
        with store_of(repository) as store:
            return store.read(lambda tx: tx.meta_get(TARGET))
    except StoreMissing:
        return None


def _tell_problems(invalid: PolicyInvalid, terminal: Terminal, *, as_json: bool) -> int:
    if as_json:
        names = ("file", "line", "key", "message", "hint")
        problems = [{name: getattr(problem, name) for name in names} for problem in invalid.problems]
        terminal.write_data(json.dumps({"ok": False, "problems": problems}, indent=2) + "\n")
        return Exit.REFUSED
    for problem in invalid.problems:
        terminal.say(str(problem), "red")
    count = len(invalid.problems)
    terminal.say(f"{number_of(count, 'problems')}.")
    return Exit.REFUSED


def _tell_policy(policy: Policy, terminal: Terminal) -> None:
    pipeline = policy.pipeline
    terminal.say(f"{PIPELINE_FILE} is good.", "green")
    terminal.say(f"target: {pipeline.target}")
    for name, stage in pipeline.stages.items():
        needs = f" after {', '.join(stage.needs)}" if stage.needs else ""
        terminal.say(f"stage {name}{needs}: {_names(('scope',), stage.gates)}")
    terminal.say(f"land after {', '.join(pipeline.land.needs)}: {_names((), land_gates_of(pipeline))}")
    terminal.say(f"digest: {policy.digest}")


def _tell_what_is_missing(policy: Policy, there: Collection[str], terminal: Terminal) -> None:
    """Files that gates refer to and the commit does not have: these gates could judge nothing."""
    stages = [*((name, stage.gates) for name, stage in policy.pipeline.stages.items())]
    for name, gates in (*stages, ("land", policy.pipeline.land.gates or ())):
        for gate in gates:
            kind = KINDS[gate.kind]
            for path in kind.references(kind.options.model_validate(gate.options)):
                if path not in there:
                    text = f"{name}/{gate.name} needs {path}, which is not committed: commit it with {PIPELINE_FILE}."
                    terminal.say(text, "yellow")


def _names(first: tuple[str, ...], gates: tuple[GateSpec, ...]) -> str:
    return ", ".join((*first, *map(_called, gates)))


def _called(gate: GateSpec) -> str:
    name = gate.name if gate.name == gate.kind else f"{gate.name} ({gate.kind})"
    return f"{name} on {'+'.join(sorted(gate.runs_on))}" if gate.runs_on else name


def _tell_where_it_stands(
    repository: "SharedRepository", data: bytes, target: str, options: Namespace, terminal: Terminal
) -> None:
    """Whether this is the file that holds: only what is committed on the trusted branch does."""
    tip = repository.branch_tip(target)
    committed = None if tip is None else repository.read_file(tip, PIPELINE_FILE, FILE_BYTES_MAX)
    if options.file is None and options.ref is None and committed != data:
        how = f"is not committed on {target} yet" if committed is None else f"differs from the one on {target}"
        terminal.say(f"It {how}: what is committed there is what holds.", "yellow")
