"""The kinds of gates, one module each: `scope` always runs, the others are named in the pipeline.

`KINDS` maps a kind's name to it and imports its module when it is asked for. A new kind is a module with a `KIND`, a
line in `_MODULES` and a paragraph in docs/gates.md; the contract suite in tests/gates/kinds picks it up by itself.

scope, compile, document, schema
command      (command_report: what it said)
ruff         (ruff_tool: calls it; ruff_layout: what was laid out anew; ruff_canary: what is planted for it)
test         (its rooms: gates/testing/)
trace        (trace_search: looks for ids)
transform    (transform_run: makes the files again)
approval     asks people, always
review       (review_run: a program that reviews)
narrowing    leaves a gate the files that differ from the base
probes/      programs that look in a process of their own
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import cast

from ..contract import AnyGateKind

_MODULES: Mapping[str, str] = {
    "scope": "scope",
    "compile": "compile",
    "ruff": "ruff",
    "command": "command",
    "test": "test",
    "document": "document",
    "schema": "schema",
    "trace": "trace",
    "transform": "transform",
    "approval": "approval",
    "review": "review",
}


class _Kinds(Mapping[str, AnyGateKind]):
    def __getitem__(self, name: str) -> AnyGateKind:
        return cast(AnyGateKind, import_module(f".{_MODULES[name]}", __name__).KIND)

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


KINDS: Mapping[str, AnyGateKind] = _Kinds()
