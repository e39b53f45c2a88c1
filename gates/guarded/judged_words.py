"""Which words of a command are what it judges, not what it judges by; pure.

`mypy src/calc.py` reads the artifact's file. Were that file protected because the command names it, the gate would
judge the policy's version of it. A word counts as judged only where a well-known checker is given a source file;
everything else that a command names may be a script or a configuration.
"""

import re
import shlex
from itertools import pairwise
from pathlib import PurePosixPath

# Programs that check what they are given, by the names under which they are started.
CHECKERS = frozenset(
    "mypy pyright basedpyright pyre ruff flake8 pylint black isort bandit pyupgrade vulture pydocstyle interrogate"
    " codespell eslint tsc prettier biome stylelint shellcheck hadolint yamllint markdownlint"
    " test [ ls cat wc grep rg head tail diff cmp".split()
)
SOURCE_SUFFIXES = frozenset(
    ".py .pyi .js .jsx .mjs .cjs .ts .tsx .go .rs .java .kt .c .h .cc .cpp .hpp .rb .php .swift .css .scss .html .md"
    " .rst .txt .sql".split()
)
_OPERATOR = re.compile(r"&&|\|\||[;|&\n]")
_WRAPPERS = frozenset(
    {"env", "time", "nice", "uv", "run", "poetry", "pdm", "hatch", "npx", "pnpm", "yarn", "exec", "--"}
)
# Their values are configuration, whatever they end in.
_OPTIONS_WITH_RULES = re.compile(r"-c|--config\S*|--rcfile|--plugin\S*|--rulesdir|--resolve-plugins\S*|--ext\S*|-p")


def judged_words(command: str) -> frozenset[str]:
    """The source files that checkers in the command are given, and that nothing else in it names."""
    found: set[str] = set()
    others: set[str] = set()
    for simple in _OPERATOR.split(command):
        try:
            texts = shlex.split(simple)
        except ValueError:
            continue
        arguments = _arguments_of_checker(texts)
        others |= {str(PurePosixPath(word)) for word in texts[: len(texts) - len(arguments)]}
        for before, word in pairwise(["", *arguments]):
            is_source = PurePosixPath(word).suffix in SOURCE_SUFFIXES
            if is_source and not word.startswith("-") and not _OPTIONS_WITH_RULES.fullmatch(before):
                found.add(str(PurePosixPath(word)))
    return frozenset(found - others)


def _arguments_of_checker(texts: list[str]) -> list[str]:
    """What follows the checker in a simple command; nothing when its program is none."""
    while texts and (texts[0] in _WRAPPERS or re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=.*", texts[0])):
        texts = texts[1:]
    if len(texts) > 2 and re.fullmatch(r"python[0-9.]*", PurePosixPath(texts[0]).name) and texts[1] == "-m":
        texts = texts[2:]
    if not texts or PurePosixPath(texts[0]).name not in CHECKERS:
        return []
    return texts[1:]
