"""The text of the `gatewright.yaml` that `init` writes: commented, for this project, no gate that checks nothing."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence

from ...schemas.pipeline import PIPELINE_FILE
from .project import NODE, PRE_COMMIT, Project

STAGED, SOLO, REVIEWED, TEAM = "staged", "solo", "reviewed", "team"
TEMPLATES = (STAGED, SOLO, REVIEWED, TEAM)
WIDTH_MAX = 100
# What does not parse, and what pyflakes finds: undefined names, unused imports, comparisons that are always true.
MISTAKES = ("E9", "F")

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_NOT_PLAIN = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})

HEAD = """\
# What must hold before a change reaches the branch below. Read from that branch only: a change to this file counts
# once it is committed there. `gatewright check-pipeline` shows every mistake; `gatewright doctor` tries every gate.
version: 1
target: {target}
"""
PLAN = """\
  plan:
    goal: Say what will change and how it will be checked, as numbered requirements.
    writes: ["docs/changes/{change}.md"]
    gates:
      - document: {path: "docs/changes/{change}.md", sections: [Goal, Requirements]}
"""
APPROVAL = """\
      # A person says yes to the plan before anybody builds on it: `gatewright approve`; `gatewright people` says who.
      - approval
"""
DESIGN = """\
  design:
    needs: [plan]
    goal: Say how it will be done and what could go wrong, for whoever writes the code.
    writes: ["docs/changes/{change}-design.md"]
    gates:
      - document: {path: "docs/changes/{change}-design.md", sections: [Approach, Risks]}
      - review: {ask: "Will this do what the plan says? What does it leave open?"}
"""
# The last gate of the code, by template.
REVIEW = """\
      # On top of all that, OTHERS looks at it; one blocking finding sends it back.
      - review: OPTIONS
"""
ASK = 'ask: "Does it do what was planned, and nothing else? What could break?"'
REVIEWS = {
    REVIEWED: REVIEW.replace("OTHERS", "another agent, on a connection of its own,").replace("OPTIONS", f"{{{ASK}}}"),
    TEAM: REVIEW.replace("OTHERS looks", "two other agents look").replace("OPTIONS", f"{{quorum: 2, {ASK}}}"),
}
ONLY_REVIEWED = """\
      # No program checks the code yet, which leaves everything to whoever reviews it. A gate is any command whose exit
      # status tells, for example:
"""
LAND = """\
# What passed is merged with the branch, judged once more on the merged files, and then moves the branch.
land: {{needs: [code], strategy: merge}}
"""
NO_TESTS = """\
      # No tests were found, so nothing shows that the code works. With the first test, add:
      # - test: {runner: pytest}
"""
FILL_IN = """\
      # Nothing here checks the code yet, and a gate that checks nothing would only be green: until you fill in at least
      # one, this file does not load and no work can start. A gate is any command whose exit status tells, for example:
"""


def pipeline_text(project: Project, *, target: str, template: str) -> str:
    """The file for the project; it loads unless nothing could be found that checks the code."""
    parts = [HEAD.format(target=scalar(target)), *_environment(project), "\nstages:\n"]
    if template != SOLO:
        parts += [PLAN, APPROVAL if template == TEAM else "", "\n"]
    if template == TEAM:
        parts += [DESIGN, "\n"]
    needs = {SOLO: None, TEAM: "design"}.get(template, "plan")
    parts += [*_code(project, needs=needs, review=REVIEWS.get(template, "")), "\n", LAND.format()]
    return "".join(parts)


def setup_steps(project: Project) -> list[str]:
    """The shell commands that make `.venv` from the key files alone."""
    steps = ["python3 -m venv .venv"]
    given = [f"-r {shlex.quote(file)}" for file in project.requirements_files]
    if project.declared.files:
        names = [f"--extra {shlex.quote(name)}" for name in project.extras]
        names += [f"--group {shlex.quote(name)}" for name in project.groups]
        steps.append(" ".join(["gatewright requirements", *names, "> .venv/requirements.txt"]))
        given.insert(0, "-r .venv/requirements.txt")
    given += [shlex.quote(line) for line in project.loose]
    given += [f"ruff=={project.ruff_pin}"] if project.ruff_pin else []
    # The newest that is allowed, as pip's own isolated build would take: a fresh environment brings an old setuptools.
    steps.append(" ".join([".venv/bin/pip install --quiet --upgrade", *given]))
    return steps


def scalar(text: str) -> str:
    """The text as a YAML value, quoted where it must be."""
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def flow(items: Sequence[str]) -> str:
    """A list on one line."""
    return f"[{', '.join(map(scalar, items))}]"


def _environment(project: Project) -> Iterator[str]:
    """`setup` and `install`, with where each part comes from."""
    node = project.node
    installed = node.install if node is not None else None
    if not project.is_python and installed is None:
        return
    if not project.test_files and not project.key_files and project.ruff_pin is None and installed is None:
        # Downloads for nothing would be the first thing that a person waits for.
        yield "\n# Nothing here needs an environment yet. Together with the first test gate:\n"
        one_line = json.dumps(" && ".join(setup_steps(project)))
        yield f'# setup: {{run: {one_line}, key: [{PIPELINE_FILE}], keep: [".venv"]}}\n'
        return
    yield "\n# Makes what the gates need, once for each content of the key files, from them alone; with network.\n"
    for comment in _comments(project):
        yield f"# {comment}\n"
    steps = [*(setup_steps(project) if project.is_python else ()), *([installed] if installed else ())]
    keys = dict.fromkeys((*project.key_files, *(node.key_files if node else ())))
    keep = (*([".venv"] if project.is_python else ()), *(node.keep if node else ()))
    yield "setup:\n"
    # A folded text: its lines are joined by blanks.
    yield "  run: >-\n    {}\n".format(" &&\n    ".join(steps))
    yield f"  key: {flow(tuple(keys) or (PIPELINE_FILE,))}\n"
    yield f"  keep: {flow(keep)}\n"
    if project.declared.is_installable:
        yield "# Installs what was handed in, into a private copy of it; without network.\n"
        yield 'install: {run: ".venv/bin/pip install --quiet --no-deps --no-build-isolation ."}\n'


def _comments(project: Project) -> Iterator[str]:
    if project.is_python:
        yield from _python_comments(project)
    yield from project.node.notes if project.node is not None and project.node.install else ()


def _python_comments(project: Project) -> Iterator[str]:
    if project.declared.files:
        yield "`gatewright requirements` prints what the project's metadata declare, and what builds it."
    if not project.key_files:
        yield "No file says what the project depends on."
    if project.test_files and (named := [line for line in project.loose if line.startswith("pytest")]):
        yield f"Declared nowhere, so named here: {', '.join(named)}."
    if project.ruff_pin:
        yield f"ruff is the version that {PRE_COMMIT} has: raise both together."
    for sentence in project.declared.unread:
        yield f"Not read: {sentence} Name what is missing in the pip line."


def _code(project: Project, *, needs: str | None, review: str) -> Iterator[str]:
    yield "  code:\n"
    if needs is not None:
        yield f"    needs: [{needs}]\n"
    yield "    goal: Make the change with its tests.\n"
    gates = [*(_python_gates(project) if project.is_python else ()), *_node_gates(project)]
    if not gates:
        yield "    gates:\n"
        yield ONLY_REVIEWED if review else FILL_IN
        yield from (f"      # - {line}\n" for line in _proposals(project))
        yield review
        return
    yield "    # Each is judged against the commit that the change started from: no worse than it was.\n"
    yield "    gates:\n"
    yield from gates
    others = [language for language in project.languages if not _is_judged(project, language)]
    if others:
        yield f"      # Nothing here checks {', '.join(others)}. A gate is any command, for example:\n"
        yield from (f"      # - {line}\n" for line in _proposals(project))
    yield review


def _is_judged(project: Project, language: str) -> bool:
    return language == "Python" or (language == NODE and project.node is not None and bool(project.node.gates))


def _python_gates(project: Project) -> Iterator[str]:
    yield "      - compile\n"
    if project.has_ruff_configuration:
        yield "      - ruff\n"
    else:
        # Its defaults are a style; who never chose it would be failed for writing as everything around is written.
        yield "      # No configuration of ruff: only mistakes count. `- ruff` alone would have its default rules.\n"
        yield f"      - ruff: {{select: {flow(MISTAKES)}}}\n"
    yield from _test_gate(project) if project.test_files else [NO_TESTS]


def _node_gates(project: Project) -> Iterator[str]:
    node = project.node
    for note in node.notes if node is not None and (node.gates and not node.install) else ():
        yield f"      # {note}\n"
    for gate in node.gates if node is not None else ():
        name = "tests" if project.is_python and project.test_files and gate.kind == "test" else None
        options = {**({"name": f"node-{name}"} if name else {}), **gate.options}
        yield from _gate(gate.kind, [f"{key}: {scalar(value)}" for key, value in options.items()])


def _gate(kind: str, options: Sequence[str]) -> Iterator[str]:
    line = f"      - {kind}: {{{', '.join(options)}}}\n"
    yield line if len(line) <= WIDTH_MAX else f"      - {kind}:\n" + "".join(f"          {each}\n" for each in options)


def _test_gate(project: Project) -> Iterator[str]:
    options = ["runner: pytest", *([f"plugins: {flow(project.plugins)}"] if project.plugins else [])]
    if "pytest-benchmark" in project.plugins:
        yield "      # Benchmarks run once, as tests: nothing is measured here.\n"
        options.append("args: [--benchmark-disable]")
    yield from _gate("test", options)


def _proposals(project: Project) -> Iterator[str]:
    """What might be a gate, in comments: whether it checks anything only the person can tell."""
    scripts = project.node.scripts if project.node is not None and not project.node.gates else ()
    for script in ("build", "lint", "typecheck"):
        if script in scripts:
            yield f'command: {{name: {script}, run: "npm run {script}"}}'
    if "test" in scripts:
        yield 'test: {run: "npm test", report: junit.xml}   # its runner must write a JUnit report to that path'
    if "Rust" in project.languages:
        yield 'command: {name: build, run: "cargo check --locked --all-targets"}'
        yield 'command: {name: tests, run: "cargo test --locked"}'
    if "Go" in project.languages:
        yield 'command: {name: vet, run: "go vet ./..."}'
        yield 'command: {name: tests, run: "go test ./..."}'
    if not {"Rust", "Go"} & set(project.languages) and project.node is None:
        yield 'command: {name: build, run: "make"}'
        yield 'test: {run: "make test", report: report.xml}   # the report is JUnit XML, written by that run'
