"""What the scripts of the policy start, import and read in turn; pure.

A gate says `make check`, the recipe starts `sh ci/check.sh`, that `python ci/rows.py`, which imports `ci/limits.py`
and reads `ci/rows.txt`: a commit that may change one of them changes what it is judged by. Followed is what a text
starts by an interpreter, wherever it lies, and whatever it mentions that lies in a folder of tools. What lies elsewhere
may as well be what the script judges, and stays open to ordinary changes.
"""

import ast
import json
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from .judged_words import judged_words
from .shadows import Read

TEXT_BYTES_MAX = 1_000_000
FILES_MAX = 300

# By custom these hold what a project is built and checked with, and no part of it.
TOOL_FOLDERS = frozenset(
    "ci .ci .github .gitlab .circleci .buildkite scripts script tools tool hack devtools build-tools".split()
)

_PATH = re.compile(r"[\w.@+-]+(?:/[\w.@+-]+)*")
# Whatever they are given first is a program.
_INTERPRETERS = re.compile(
    r"(?:[\w./-]*/)?(?:sh|bash|dash|ash|ksh|zsh|python[0-9.]*|pypy[0-9.]*|node|nodejs|deno|bun|tsx|ts-node|ruby|perl|php"
    r"|lua|Rscript|pwsh|source|include)"
)
# These only where a command begins: elsewhere a point is a folder, and a variable anything.
_STARTERS = re.compile(r"\.|-?include|\$[({]?\w{1,40}[)}]?")
# What may stand before a program that it starts, with options and numbers of its own.
_WRAPPERS = frozenset(
    "if then elif else while until do ! time exec command env nice nohup sudo timeout xargs stdbuf unshare flock setsid"
    " uv uvx poetry pdm hatch pipenv rye npx pnpm yarn bunx run".split()
)
_OPERATOR = re.compile(r"&&|\|\||[;|&()`\n]|\$\(|[{}](?=\s|$)|\s-(?:exec|execdir|ok)\s")
# `"$HERE"/x.sh`, `$(dirname "$0")/x.sh`: where a script stands, or the root; both are tried.
_HERE = re.compile(r"[\"']?(?:\$\((?:[^()\n]|\([^()\n]*\)){0,200}\)|\$\{[^{}\n]{1,200}\}|\$\w+|`[^`\n]{1,200}`)[\"']?/")
_VARIABLE = re.compile(r"\$\((\w{1,40})\)")
_CODE_GIVEN = frozenset({"-c", "-e", "--eval"})


def reached_from(
    scripts: Iterable[str], *, starters: Mapping[str, str] = MappingProxyType({}), paths: Collection[str], read: Read
) -> frozenset[str]:
    """The files that the scripts lead to, without the scripts.

    `starters` are texts by the path of the file that they stand in: of these only what they start is followed.
    """
    given = dict.fromkeys(path for path in scripts if path in paths)
    found = dict.fromkeys(step for path, text in starters.items() for step in _started(path, text) if step in paths)
    waiting = [*given, *found]
    while waiting and len(found) < FILES_MAX:
        path = waiting.pop(0)
        fresh = [step for step in _steps(path, _text(path, read), paths) if step not in found and step not in given]
        found.update(dict.fromkeys(fresh))
        waiting += dict.fromkeys(fresh)
    return frozenset(found)


def used_scripts(package: bytes, named: Collection[str]) -> str:
    """The commands of a `package.json` that are run under one of these names, in turn, or before and after it."""
    try:
        scripts = json.loads(package).get("scripts", {})
        commands = {name: command for name, command in scripts.items() if isinstance(command, str)}
    except (ValueError, RecursionError, AttributeError):
        return ""
    used: dict[str, str] = {}
    waiting = [name for name in commands if name in named]
    while waiting:
        name = waiting.pop()
        used[name] = commands[name]
        words = {*commands[name].split(), f"pre{name}", f"post{name}"}
        waiting += [other for other in commands if other in words and other not in used]
    return "\n".join(used.values())


def _steps(path: str, text: str, paths: Collection[str]) -> Iterator[str]:
    is_python = PurePosixPath(path).suffix == ".py" or re.match(r"#!.*python", text) is not None
    mentioned = _in_python(path, text) if is_python else _in_text(path, text)
    yield from (step for step in mentioned if step in paths and _is_tool(step))
    if not is_python:
        yield from (step for step in _started(path, text) if step in paths)


def _in_text(path: str, text: str) -> Iterator[str]:
    judged = judged_words(text)
    for found in _PATH.finditer(text):
        if found[0] not in judged:
            yield from _places(path, found[0])


def _started(path: str, text: str) -> Iterator[str]:
    """What a text of commands starts; a name may be there seen from the root, or from the text's own folder."""
    plain = _VARIABLE.sub(r"$\1", _HERE.sub("./", text.replace("\\\n", " ")))
    for command in _OPERATOR.split(plain):
        words = command.split()
        for named in (*_program(words), *_scripts(words)):
            yield from _places(path, named.strip("\"'"))


def _program(words: list[str]) -> Iterator[str]:
    """What a command starts as it is: `./check.sh`, `env A=1 timeout 10 tools/check`; not what make has a rule for."""
    word = next((word for word in _bare(words) if not _comes_before(word)), "")
    if "/" in word and word[0] not in "\"'" and not word.endswith(":"):
        yield word


def _bare(words: list[str]) -> list[str]:
    """The words without what a recipe of make has before the first one."""
    first = words[0].lstrip("@+-") if words else ""
    return [first, *words[1:]] if first else words


def _comes_before(word: str) -> bool:
    return word in _WRAPPERS or re.fullmatch(r"-.+|[0-9.]+[smhd]?|\w+=.*", word) is not None


def _scripts(words: list[str]) -> Iterator[str]:
    """What interpreters are given: `python3 -X dev ci/rows.py`, `bash -euo pipefail ci/x`, `python3 -m ci.rows`."""
    at_start = True
    for place, word in enumerate(_bare(words)):
        if _INTERPRETERS.fullmatch(word.strip("\"'")) or (at_start and _STARTERS.fullmatch(word)):
            yield from _given(words[place + 1 :])
        at_start = at_start and _comes_before(word)


def _given(words: list[str]) -> Iterator[str]:
    """What an interpreter is told to run; what follows an option may be a value of it, and what is run comes later."""
    before = ""
    for place, word in enumerate(words):
        if re.fullmatch(r"-[A-Za-z]*m", before):
            module = word.strip("\"'").replace(".", "/")
            yield from (f"{module}.py", f"{module}/__main__.py")
            return
        if word in _CODE_GIVEN:
            yield from _program([part.lstrip("\"'") for part in words[place + 1 :]])
            return
        if word in _WRAPPERS:
            continue
        if word[0] not in "-+":
            yield word
            if before[:1] not in {"-", "+"}:
                return
        before = word


def _in_python(path: str, text: str) -> Iterator[str]:
    """What a module imports, and the files that texts in it may name."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in nodes:
        match node:
            case ast.Import(names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module, names):
                modules = [module or "", *(f"{module or ''}.{alias.name}".lstrip(".") for alias in names)]
            case ast.Constant(str(value)):
                modules = []
                for found in _PATH.finditer(value):
                    yield from _places(path, found[0])
            case _:
                modules = []
        for place in (module.replace(".", "/") for module in modules if module):
            yield from (*_places(path, f"{place}.py"), *_places(path, f"{place}/__init__.py"))


def _places(path: str, named: str) -> tuple[str, ...]:
    """Where the file lies that a text in `path` names: seen from the root, and from the text's own folder."""
    return posixpath.normpath(named), posixpath.normpath(posixpath.join(posixpath.dirname(path), named))


def _is_tool(path: str) -> bool:
    return not TOOL_FOLDERS.isdisjoint(path.casefold().split("/")[:-1])


def _text(path: str, read: Read) -> str:
    data = read(path) or b""
    return data.decode("utf-8", "replace") if len(data) <= TEXT_BYTES_MAX else ""
