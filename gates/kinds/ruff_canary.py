"""A line that ruff objects to under the rules that a gate selects; pure.

Which rules a configuration selects is read here only as far as is needed to find one that certainly counts.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from ..contract import Specimen
from ..judging.planting import SYNTAX_ERROR

CONFIG_NAMES = (".ruff.toml", "ruff.toml", "pyproject.toml")
EVERYTHING = "ALL"
DEFAULT_RULES = ("E4", "E7", "E9", "F")
# Each with what breaks it at the end of any module.
BREACHES: tuple[tuple[str, str, bytes], ...] = (
    ("F821", "an undefined name", b"\n\ngatewright_canary = gatewright_canary_undefined\n"),
    ("F401", "an import that nothing uses", b"\n\nimport gatewright_canary\n"),
    (
        "E711",
        "a comparison with None",
        b"\n\ngatewright_canary = object() == None\n",
    ),
    ("E722", "a bare except", b"\n\ntry:\n    gatewright_canary = 1\nexcept:\n    pass\n"),
    ("W291", "a blank at the end of a line", b"\n\ngatewright_canary = 1 \n"),
    (
        "E501",
        "a line of 400 characters",
        b"\n\ngatewright_canary = " + b" + ".join([b"1000000"] * 40) + b"\n",
    ),
    ("I001", "imports out of order", b"\n\nimport sys\nimport os\n\ngatewright_canary = (os, sys)\n"),
    ("B006", "a list as a default", b"\n\ndef gatewright_canary(value=[]):\n    return value\n"),
    ("D103", "a function without a docstring", b"\n\ndef gatewright_canary(value):\n    return value\n"),
    ("ANN001", "an argument without a type", b"\n\ndef gatewright_canary(value):\n    return value\n"),
    ("N802", "a function in capitals", b"\n\ndef GATEWRIGHT_CANARY(value):\n    return value\n"),
    ("C405", "a set made of a list", b"\n\ngatewright_canary = set([1])\n"),
    ("UP018", "a literal made by a call", b'\n\ngatewright_canary = str("canary")\n'),
    ("T201", "a print", b'\n\nprint("gatewright_canary")\n'),
    ("S307", "an eval", b'\n\ngatewright_canary = eval("1")\n'),
)


def breach(tree: Specimen, *, config: str | None, select: Sequence[str], ignore: Sequence[str]) -> tuple[str, bytes]:
    """What is planted, in words and as text: a breach of a selected rule, else a syntax error, which needs none."""
    settings = _settings(tree, config)
    if settings is not None:
        selected = [*(select or settings.selected), *settings.also_selected]
        ignored = [*ignore, *settings.ignored]
        for rule, what, text in BREACHES:
            if _reach(rule, selected) > _reach(rule, ignored):
                return what, text
    return "a syntax error", SYNTAX_ERROR


def checks_everything(tree: Specimen, config: str | None) -> bool:
    """Whether the configuration leaves no file out, and no rule out in any file."""
    said = b"".join(tree.read(name) or b"" for name in ((config,) if config else CONFIG_NAMES))
    return not any(word in said for word in (b"exclude", b"per-file-ignores", b"extend"))


class _Settings:
    """What a configuration says about rules; `selected` are ruff's defaults where it says nothing."""

    def __init__(self, table: Mapping[str, object]) -> None:
        lint = table.get("lint")
        both = [table, lint] if isinstance(lint, Mapping) else [table]
        self.selected = _texts(both, "select") or DEFAULT_RULES
        self.also_selected = _texts(both, "extend-select")
        self.ignored = (*_texts(both, "ignore"), *_texts(both, "extend-ignore"))
        self.extends = isinstance(table.get("extend"), str)


def _settings(tree: Specimen, config: str | None) -> _Settings | None:
    """None where the rules stand in another file still, or cannot be read."""
    for name in (config,) if config else CONFIG_NAMES:
        data = tree.read(name)
        if data is None:
            continue
        try:
            table = tomllib.loads(data.decode())
        except ValueError:
            return None
        own = _own_table(table) if PurePosixPath(name).name == "pyproject.toml" else table
        if own is not None:
            found = _Settings(own)
            return None if found.extends else found
    return _Settings({})


def _own_table(table: Mapping[str, object]) -> Mapping[str, object] | None:
    tool = table.get("tool")
    own = tool.get("ruff") if isinstance(tool, Mapping) else None
    return own if isinstance(own, Mapping) else None


def _texts(tables: Iterable[Mapping[str, object]], key: str) -> tuple[str, ...]:
    values = (table.get(key) for table in tables)
    return tuple(item for value in values if isinstance(value, list) for item in value if isinstance(item, str))


def _reach(rule: str, prefixes: Iterable[str]) -> int:
    """How closely the nearest of the prefixes names the rule; -1 when none does. ruff believes the closer one."""
    return max(
        (0 if p == EVERYTHING else len(p) for p in prefixes if p == EVERYTHING or rule.startswith(p)), default=-1
    )
