"""What every artifact that went on was worth: what landed, and the plans and designs that a next stage was given.

Gates could see what the known tests refuse, what lacks its form, and what alters the tests; all of it is told here
anew, from copies that lie in no repository. They could not see what only the oracle tells.
"""

import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from journey import Told
from oracle import ask, broken_rules, has_form, is_good
from project import protected
from tasks import Stage, Task, known_cases
from works import own_paths, program_path

from gatewright.server.cli.demo_scratch import Scratch

TARGET = "main"
LANDED = "Land "

Place = tuple[str, str]


class Worth(StrEnum):
    """What an artifact is worth, and who could know."""

    GOOD = "good"
    SEEN = "bad, as gates could see"
    UNSEEN = "bad, as no gate could see"


def judge_landings(scratch: Scratch, told: Sequence[Told]) -> Mapping[Task, Worth]:
    """What each change that landed left on the target branch."""
    tasks = [each.task for each in told if each.end == "landed"]
    tampered = _tampered(scratch, tasks)
    programs = dict(zip(tasks, _read(scratch, _programs(tasks)), strict=True))
    broken = broken_rules(programs)
    refused = refused_by_known_tests(programs)
    formless = _formless(scratch, [(task, stage, TARGET) for task in tasks for stage in (Stage.PLAN, Stage.DESIGN)])
    worths = {}
    for task in tasks:
        is_seen = task in refused or task in formless or task.change in tampered
        worths[task] = Worth.SEEN if is_seen else Worth.UNSEEN if broken[task] else Worth.GOOD
    return worths


def judge_handed_on(scratch: Scratch, told: Sequence[Told]) -> Mapping[Task, list[Worth]]:
    """What the plans and designs that passed were worth, in order, by change."""
    handed = [
        (each.task, tried.stage, tried.commit)
        for each in told
        for tried in each.tries
        if tried.outcome == "passed" and tried.stage is not Stage.CODE
    ]
    worths: dict[Task, list[Worth]] = defaultdict(list)
    for (task, stage, _), files in zip(handed, _artifacts(scratch, handed), strict=True):
        if not has_form(task, stage, files):
            worths[task].append(Worth.SEEN)
        else:
            worths[task].append(Worth.GOOD if is_good(task, stage, files) else Worth.UNSEEN)
    return worths


def refused_by_known_tests(programs: Mapping[Task, str]) -> frozenset[Task]:
    """The tasks whose program gives a known case another price, by cases of our own."""
    cases = {task: known_cases(task.values) for task in programs}
    answers = ask(programs, {task: [case.order for case in found] for task, found in cases.items()})
    return frozenset(task for task, found in cases.items() if answers[task] != [case.price for case in found])


def _formless(scratch: Scratch, artifacts: Sequence[tuple[Task, Stage, str]]) -> frozenset[Task]:
    found = zip(artifacts, _artifacts(scratch, artifacts), strict=True)
    return frozenset(task for (task, stage, _), files in found if not has_form(task, stage, files))


def _tampered(scratch: Scratch, tasks: Iterable[Task]) -> frozenset[str]:
    """The changes whose landing altered a known test, or what it is run with."""
    kept = set(protected(list(tasks)))
    log = scratch.git("log", "--first-parent", "--diff-merges=first-parent", "--name-only", "--format=%x00%s", TARGET)
    tampered = set()
    for landing in log.split("\0"):
        subject, _, paths = landing.partition("\n")
        if subject.startswith(LANDED) and kept & set(paths.split()):
            tampered.add(subject.removeprefix(LANDED).partition(":")[0])
    return frozenset(tampered)


def _programs(tasks: Iterable[Task]) -> list[Place]:
    return [(TARGET, program_path(task)) for task in tasks]


def _artifacts(scratch: Scratch, artifacts: Sequence[tuple[Task, Stage, str]]) -> list[Mapping[str, str]]:
    """Each artifact as its own files by path."""
    places = [(commit, path) for task, stage, commit in artifacts for path in own_paths(task, stage)]
    texts = iter(_read(scratch, places))
    return [{path: next(texts) for path in own_paths(task, stage)} for task, stage, _ in artifacts]


def _read(scratch: Scratch, places: Sequence[Place]) -> list[str]:
    """The files at these commits and paths, by one process of git; empty where there is none."""
    done = subprocess.run(
        ["git", "cat-file", "--batch"],
        cwd=scratch.repository,
        env=scratch.environment(),
        input="".join(f"{commit}:{path}\n" for commit, path in places).encode(),
        capture_output=True,
        check=True,
    )
    texts, rest = [], done.stdout
    for _ in places:
        head, _, rest = rest.partition(b"\n")
        size = int(head.split()[2]) if not head.endswith(b" missing") else -1
        texts.append(rest[: max(size, 0)].decode())
        rest = rest[size + 1 :]
    return texts
