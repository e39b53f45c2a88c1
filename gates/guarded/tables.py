"""Put some tables of one TOML or JSON text into another, keeping the rest as it is; pure.

Used for files that are protected in part: the artifact may add a dependency to `pyproject.toml` or `package.json` while
the tables of the gates' tools stay the policy's.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence

_HEADER = re.compile(r"^[ \t]*\[\[?[^\[\]]+\]\]?[ \t]*(#.*)?$")
Keys = tuple[str, ...]


def with_tables_of(path: str, trusted: bytes, other: bytes, tables: Sequence[str]) -> bytes | None:
    """`other` with the tables of `trusted` and without its own of these names (`tool.ruff`).

    None when the texts cannot be mixed (tables written inline, a heading inside a text, another format): what is
    returned holds exactly the wanted values.
    """
    names = tuple(tuple(name.split(".")) for name in tables)
    if path.endswith(".json"):
        return _with_json_tables(trusted, other, names)
    return _with_toml_tables(trusted, other, names) if path.endswith(".toml") else None


def _with_json_tables(trusted: bytes, other: bytes, names: Sequence[Keys]) -> bytes | None:
    try:
        old, new = json.loads(trusted or b"{}"), json.loads(other)
    except (ValueError, RecursionError):
        return None
    if not isinstance(old, dict) or not isinstance(new, dict) or any(len(name) != 1 for name in names):
        return None
    wanted = {name[0] for name in names}
    kept = {key: value for key, value in new.items() if key not in wanted}
    return json.dumps(kept | {key: value for key, value in old.items() if key in wanted}, indent=2).encode() + b"\n"


def _with_toml_tables(trusted: bytes, other: bytes, names: Sequence[Keys]) -> bytes | None:
    try:
        old, new = trusted.decode(), other.decode()
        kept = [text for keys, text in _blocks(new) if not _is_below(keys, names)]
        brought = [text for keys, text in _blocks(old) if _is_below(keys, names)]
        mixed = "\n".join((*kept, *brought)) + "\n"
        got, want, have = tomllib.loads(mixed), tomllib.loads(old), tomllib.loads(new)
    except (ValueError, RecursionError):
        return None
    is_exact = _without(got, names) == _without(have, names) and _only(got, names) == _only(want, names)
    return mixed.encode() if is_exact else None


def _blocks(text: str) -> list[tuple[Keys, str]]:
    blocks: list[tuple[Keys, list[str]]] = [((), [])]
    for line in text.splitlines():
        if _HEADER.match(line):
            blocks.append((_keys(line), []))
        blocks[-1][1].append(line)
    return [(keys, "\n".join(lines)) for keys, lines in blocks]


def _keys(header: str) -> Keys:
    return _names_down(tomllib.loads(header))


def _names_down(value: object) -> Keys:
    keys: list[str] = []
    while isinstance(value, dict | list) and value:
        if isinstance(value, list):
            value = value[0]
            continue
        name, value = next(iter(value.items()))
        keys.append(name)
    return tuple(keys)


def _is_below(keys: Keys, names: Sequence[Keys]) -> bool:
    return any(keys[: len(name)] == name for name in names)


def _only(value: Mapping[str, object], names: Sequence[Keys]) -> list[object]:
    found: list[object] = []
    for name in names:
        at: object = value
        for key in name:
            at = at.get(key) if isinstance(at, dict) else None
        found.append(at)
    return found


def _without(value: object, names: Sequence[Keys]) -> object:
    if not isinstance(value, dict):
        return value
    here = {name[0] for name in names if len(name) == 1}
    below = {key: tuple(name[1:] for name in names if len(name) > 1 and name[0] == key) for key in value}
    rest = {key: _without(item, below[key]) for key, item in value.items() if key not in here}
    # A parent that only holds what is taken out comes and goes with it.
    return {key: item for key, item in rest.items() if item != {} or not below[key]}
