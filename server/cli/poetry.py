"""Poetry's own way to declare dependencies, as requirements that pip takes; pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_VERSION = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True)
class PoetryRequirements:
    """`unread` says in sentences what has no counterpart."""

    dependencies: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def poetry_requirements(table: Mapping[str, object]) -> PoetryRequirements:
    """What `[tool.poetry]` declares; optional dependencies only count in the extras that name them."""
    main = _mapping(table.get("dependencies"))
    required = {name: value for name, value in main.items() if name != "python" and not _is_optional(value)}
    optional = {name: line for name, value in main.items() if (line := _requirement(name, value)) is not None}
    extras = {
        extra: tuple(optional[name] for name in names if isinstance(name, str) and name in optional)
        for extra, names in _mapping(table.get("extras")).items()
        if isinstance(names, list)
    }
    declared = {
        name: _mapping(_mapping(group).get("dependencies")) for name, group in _mapping(table.get("group")).items()
    }
    if "dev-dependencies" in table:
        declared.setdefault("dev", _mapping(table["dev-dependencies"]))
    everything = [*main.items(), *(item for group in declared.values() for item in group.items())]
    unread = [
        f"Poetry's dependency '{name}' is no plain version."
        for name, value in everything
        if _requirement(name, value) is None
    ]
    groups = {name: tuple(_lines(group)) for name, group in declared.items()}
    return PoetryRequirements(tuple(_lines(required)), extras, groups, tuple(unread))


def _lines(table: Mapping[str, object]) -> Iterator[str]:
    return (line for name, value in table.items() if (line := _requirement(name, value)) is not None)


def _requirement(name: str, value: object) -> str | None:
    """One dependency; None for several alternatives, a path or a repository."""
    match value:
        case str():
            return name + _specifier(value)
        case {"version": str(version), **others}:
            extras = others.get("extras")
            brackets = f"[{','.join(map(str, extras))}]" if isinstance(extras, list) and extras else ""
            marker = f"; {others['markers']}" if "markers" in others else ""
            return f"{name}{brackets}{_specifier(version)}{marker}"
        case _:
            return None


def _specifier(text: str) -> str:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return ",".join(filter(None, map(_one_specifier, parts)))


def _one_specifier(text: str) -> str:
    if text == "*":
        return ""
    found = _VERSION.match(text.lstrip("^~="))
    numbers = [int(part) for part in found[0].split(".")] if found else []
    if text.startswith("^") and numbers:
        # The first number that is not zero may not change.
        place = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
        return f">={text[1:]},<{_next(numbers, place)}"
    if text.startswith("~") and not text.startswith("~=") and numbers:
        return f">={text[1:]},<{_next(numbers, min(1, len(numbers) - 1))}"
    return f"=={text}" if text[0].isdigit() else text


def _next(numbers: list[int], place: int) -> str:
    return ".".join(map(str, [*numbers[:place], numbers[place] + 1]))


def _is_optional(value: object) -> bool:
    return isinstance(value, dict) and value.get("optional") is True


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
