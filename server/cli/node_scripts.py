"""What the scripts of a package.json run, told so that a gate can read their answer. Words keep their quotes."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

REPORT = "junit.xml"
SCRIPTS_DEEP_MAX = 4
# What stands before a runner and changes nothing of what it tells.
WRAPPERS = frozenset({"npx", "cross-env", "c8", "nyc", "env", "--no-install"})
# Other gates do what these do.
GATED = frozenset({"eslint", "tsc"})
SAYS_NOTHING = frozenset({"echo", "exit", "true", ":"})

_SHELL = re.compile(r"[|;<>`$()\n]|(?<!&)&(?!&)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")
_OTHER_SCRIPT = re.compile(r"(?:npm|pnpm|yarn)(?: run)?(?: -s| --silent)? ([\w:.-]+)")
# Options of linters and compilers by which they write, or write otherwise; the value of some stands in the next word.
_OUTPUT = re.compile(
    r"--(?:fix|cache|watch|pretty)|--(?:format|output-file|max-warnings|pretty)=.*"
    r"|(?P<valued>--(?:format|output-file|max-warnings)|-[fo])"
)
_REPORTER = re.compile(
    r"--(?:test-)?(?:reporters?|outputFile)(?:-destination|-options?)?=.*"
    r"|(?P<valued>--(?:test-)?(?:reporters?|outputFile)(?:-destination|-options?)?|-R)"
)


@dataclass(frozen=True)
class ScriptRun:
    """`run` writes its report to `report`; without one its exit code alone tells. `notes` are sentences for people."""

    run: str | None
    report: str | None = None
    notes: tuple[str, ...] = ()


def find_test_run(scripts: Mapping[str, str], needed: set[str]) -> ScriptRun:
    """What `npm test` amounts to; `needed` are the packages that the project depends on."""
    if "test" not in scripts:
        return ScriptRun(None, notes=("package.json has no test script, so there is no gate for tests.",))
    parts = list(_parts(scripts, "test", 0))
    if all(part.split()[:1] and part.split()[0] in SAYS_NOTHING for part in parts):
        return ScriptRun(None, notes=("The test script of package.json runs no tests, so there is no gate for them.",))
    for part in parts:
        run = _reporting(part, needed)
        if run is not None:
            others = [other for other in parts if other != part and not GATED & set(other.split())]
            notes = tuple(f"`npm test` runs `{other}` too, which no gate does." for other in others)
            return ScriptRun(run, REPORT, notes)
    why = "No report of it is known, so that it has to pass whatever the base does"
    if any("jest" in part.split() for part in parts):
        why = f"jest writes a report with jest-junit, which is not among its packages. {why}"
    return ScriptRun("npm test", notes=(f"`npm test` is judged by its exit code. {why}.",))


def find_arguments(scripts: Mapping[str, str], names: Iterable[str], program: str) -> list[str] | None:
    """What one of these scripts gives to the program, without what concerns its output; None when none starts it."""
    for name in names:
        for part in _parts(scripts, name, 0) if name in scripts else ():
            words = _words(part)
            if words and words[0] == program:
                return _without(_OUTPUT, words[1:])
    return None


def _parts(scripts: Mapping[str, str], name: str, depth: int) -> Iterator[str]:
    """The commands that a script runs one after the other, those of other scripts in their place."""
    text = scripts[name]
    if _SHELL.search(text) or depth == SCRIPTS_DEEP_MAX:
        yield text
        return
    for part in re.split(r"\s*&&\s*", text.strip()):
        other = _OTHER_SCRIPT.fullmatch(part)
        if other is not None and other[1] in scripts and other[1] != name:
            yield from _parts(scripts, other[1], depth + 1)
        else:
            yield part


def _reporting(part: str, needed: set[str]) -> str | None:
    """The command with the options by which its runner writes the report; None for one that is not known."""
    words = _words(part)
    at = next((i for i, word in enumerate(words) if word not in WRAPPERS and not _ASSIGNMENT.fullmatch(word)), None)
    if at is None:
        return None
    before, runner, after = words[:at], words[at], _without(_REPORTER, words[at + 1 :])
    if runner == "node" and "--test" in after:
        # Options of node stand before the files.
        options = ["--test-reporter=junit", f"--test-reporter-destination={REPORT}"]
    elif runner == "vitest":
        after = [word for word in after if word not in ("run", "watch", "--watch", "-w")]
        options = ["run", "--reporter=junit", f"--outputFile={REPORT}"]
    elif runner == "jest" and "jest-junit" in needed:
        before = [f"JEST_JUNIT_OUTPUT_FILE={REPORT}", *before]
        options = ["--reporters=default", "--reporters=jest-junit"]
        after = [word for word in after if word not in ("--watch", "--watchAll")]
    elif runner == "mocha":
        options = ["--reporter=xunit", f"--reporter-option=output={REPORT}"]
    else:
        return None
    return " ".join([*before, runner, *options, *after])


def _words(part: str) -> list[str]:
    try:
        return [] if _SHELL.search(part) else shlex.split(part, posix=False)
    except ValueError:
        return []


def _without(options: re.Pattern[str], words: list[str]) -> list[str]:
    """The words without such options; the value of one whose group `valued` matched stands in the next word."""
    kept: list[str] = []
    is_value = False
    for word in words:
        found = None if is_value else options.fullmatch(word)
        if found is None and not is_value:
            kept.append(word)
        is_value = found is not None and found["valued"] is not None
    return kept
