"""The generated parts of the pages in `docs/`: what the code says already is not said again by hand.

    python tests/docs/generate.py

rewrites them. Such a part stands between `<!-- generated: NAME -->` and `<!-- end -->`; the test beside this file fails
when a page says something else than the code.
"""

import dataclasses
import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

from gatewright.gates.machine.transitions import TRANSITIONS
from gatewright.schemas import refusals
from gatewright.schemas.events import Event
from gatewright.schemas.records import StageState
from gatewright.schemas.refusals import Refusal
from gatewright.server.addresses import ADDRESSES
from gatewright.server.app import INSTRUCTIONS
from gatewright.server.calls import WAIT_S_BY_CLIENT, WAIT_S_DEFAULT
from gatewright.server.operations.worktrees import Worktrees
from gatewright.server.prompts import PROMPTS
from gatewright.server.tool_list import tool_list
from gatewright.server.tools import TOOLS

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"

PART = re.compile(r"(<!-- generated: ([\w .-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

JsonSchema = Mapping[str, object]

# One sentence of every builder, as an agent would read it.
EXAMPLES: Mapping[str, Refusal] = {
    "bad_argument": refusals.bad_argument("there is no argument `passed`", tool="submit_artifact"),
    "unknown_attempt": refusals.unknown_attempt("c12", "code", "no attempt 7"),
    "idempotency_conflict": refusals.idempotency_conflict("code-2"),
    "unknown_change": refusals.unknown_change("c99"),
    "unknown_stage": refusals.unknown_stage("c12", "cod", ("plan", "code")),
    "unknown_lease": refusals.unknown_lease(),
    "change_over": refusals.change_over("c12", "landed"),
    "change_landing": refusals.change_landing("c12", "main"),
    "stage_waiting": refusals.stage_waiting("c12", "code", ("'plan', which agent 'ada' holds for 11 more minutes",)),
    "stage_passed": refusals.stage_passed("c12", "plan", 2),
    "stage_escalated": refusals.stage_escalated("c12", "code", "all 3 attempts failed"),
    "stage_evaluating": refusals.stage_evaluating("c12", "code", "c12.e7"),
    "run_by_server": refusals.run_by_server("c12", "reference", "c12.e7"),
    "dry_run_going": refusals.dry_run_going("c12", "code", "c12.d2"),
    "stage_in_review": refusals.stage_in_review("c12", "code"),
    "lease_held": refusals.lease_held("c12", "code", "ada", 480.0),
    "lease_lost": refusals.lease_lost("c12", "code", None),
    "with_end": refusals.with_end(
        refusals.stage_waiting("c12", "code", ("'plan', which is open",)),
        "'plan' was reopened: it forgot the empty file",
    ),
    "with_kept": refusals.with_kept(
        refusals.lease_lost("c12", "code", "bob"), "3f786850e387550fdab836ed7e6dc881de23001b"
    ),
    "bad_artifact": refusals.bad_artifact(
        "3f786850e387550fdab836ed7e6dc881de23001b does not descend from 9f2c1be4d0f7a6b5c4e3d2c1b0a9f8e7d6c5b4a3. "
        "Start your work from that commit.",
        Worktrees.hand_in,
    ),
    "not_pushed": refusals.not_pushed("gatewright/c12/code-3", "c12", "code"),
    "bad_base": refusals.bad_base("main", "The repository is a shallow clone. Run `git fetch --unshallow` in it."),
    "own_work": refusals.own_work("c12", "code", "review"),
    "already_reviewed": refusals.already_reviewed("c12", "code", "rex"),
    "reviewed_enough": refusals.reviewed_enough("c12", "code"),
    "lease_of_review": refusals.lease_of_review("c12", "code"),
    "lease_of_stage": refusals.lease_of_stage("c12", "code"),
    "not_of_reviews": refusals.not_of_reviews("spec_conflict"),
    "review_stale": refusals.review_stale("c12", "code", "9f2c" + "0" * 36),
    "already_approved": refusals.already_approved("c12", "code", "person:ann"),
    "approval_stale": refusals.approval_stale("c12", "code", "9f2c" + "0" * 36),
    "question_replaced": refusals.question_replaced("c12", "code"),
    "review_inconsistent": refusals.review_inconsistent("src/export.py has 40 lines, and a finding is at line 48"),
    "findings_unanswered": refusals.findings_unanswered("c12", "code", ("f31", "f32")),
    "unchanged_artifact": refusals.unchanged_artifact("c12", "code", 1),
    "too_large": refusals.too_large("The tree has more than 100000 entries to look at."),
    "policy_missing": refusals.policy_missing("main", uncommitted=True),
    "not_prepared": refusals.not_prepared(),
    "policy_invalid": refusals.policy_invalid("main", "gatewright.yaml:13: stages.code: unknown key 'gaol'"),
    "people_alone": refusals.people_alone("gatewright answer c12 code"),
    "secret_needs_terminal": refusals.secret_needs_terminal(),
    "secret_wrong": refusals.secret_wrong(),
    "secret_slowed": refusals.secret_slowed("ann", 8.0),
    "person_unknown": refusals.person_unknown("an", ("ann", "bob")),
    "person_vouches": refusals.person_vouches(),
    "nobody_registered": refusals.nobody_registered(),
    "signature_alone": refusals.signature_alone("release", "gatewright approve c12 land"),
    "secret_alone": refusals.secret_alone("owner", "gatewright approve c12 code"),
    "signers_missing": refusals.signers_missing("people/signers", "9f2c" + "0" * 36, "release"),
    "signature_wrong": refusals.signature_wrong("ann@example.org", "incorrect signature", "gatewright"),
    "verifier_missing": refusals.verifier_missing("ssh-keygen"),
    "person_replaced": refusals.person_replaced("ann"),
    "remote_unavailable": refusals.remote_unavailable(
        "The git remote git@git.example.org:team/shop.git cannot be reached: Connection timed out."
    ),
    "store_unavailable": refusals.store_unavailable("Another process has held the store's lock for too long."),
}
BUILDER_CALL = re.compile(r"\brefusals\.(\w+)\(")


def main() -> None:
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text("utf-8")
        page.write_text(rewritten(text), "utf-8")


def rewritten(page: str) -> str:
    """The page with every generated part as the code says it now."""
    return PART.sub(lambda match: f"{match[1]}{part(match[2])}\n{match[3]}", page)


def part(name: str) -> str:
    """One part: its kind, and for some of them what it is about."""
    kind, _, about = name.partition(" ")
    return PARTS[kind](about)


def states(_about: str) -> str:
    """The table of stage states as a diagram; steps between the same two states share an arrow."""
    arrows: dict[tuple[StageState, StageState], list[str]] = {}
    for state, steps in TRANSITIONS.items():
        for step, after in steps.items():
            arrows.setdefault((state, after), []).append(_label(step.value))
    lines = [f"    {before} --> {after}: {' / '.join(labels)}" for (before, after), labels in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {StageState.WAITING}", *lines, "```"])


def refusal(code: str) -> str:
    """Every sentence that this code comes with, or that this version never gives it."""
    told = [example for name, example in EXAMPLES.items() if example.code == code and name in builders_in_use()]
    if not told:
        return "*Not given by this version.*"
    return "\n".join(["```", "\n\n".join(map(str, told)), "```"])


def builders_in_use() -> frozenset[str]:
    """The builders of refusals that the program calls."""
    files = [file for layer in ("gates", "server") for file in (ROOT / layer).rglob("*.py")]
    return frozenset(name for file in files for name in BUILDER_CALL.findall(file.read_text("utf-8")))


def tool(name: str) -> str:
    """What a client is told about a tool: its description, its arguments, the fields of its reply."""
    listed = next(listed for listed in tool_list() if listed.name == name)
    hints = "Reads only." if TOOLS[name].is_read_only else "Changes state."
    rows = list(_arguments(listed.input_schema))
    table = ["| Argument | Takes | Means |", "|---|---|---|", *rows]
    reply = TOOLS[name].reply
    fields = ", ".join(f"`{field}`" for field in reply.model_fields)
    return "\n".join([f"> {listed.description}", "", hints, "", *table, "", f"Reply ({reply.__name__}): {fields}."])


def waits(_about: str) -> str:
    """How long a call waits by default, by the name that a client gives itself."""
    rows = [f"| `{client}` | {wait_s} s |" for client, wait_s in WAIT_S_BY_CLIENT.items()]
    return "\n".join(
        ["| `clientInfo.name` begins with | `wait_s` |", "|---|---|", *rows, f"| anything else | {WAIT_S_DEFAULT} s |"]
    )


def reading(_about: str) -> str:
    """Every resource and template, with what it tells."""
    rows = [f"| `{address.uri}` | {address.title}. {address.description} |" for address in ADDRESSES]
    return "\n".join(["| Address | Tells |", "|---|---|", *rows])


def prompts(_about: str) -> str:
    """Every prompt with its arguments."""
    rows = [
        f"| `{prompt.name}` | {', '.join(f'`{name}`' for name in prompt.takes)} | {prompt.description} |"
        for prompt in PROMPTS.values()
    ]
    return "\n".join(["| Prompt | Takes, all optional | Does |", "|---|---|---|", *rows])


def instructions(_about: str) -> str:
    """What a model is told before anything else."""
    return f"```\n{INSTRUCTIONS}\n```"


def events(about: str) -> str:
    """Every kind of event of a class of them, `stage` or `change`: what it says and its fields."""
    return "\n\n".join(_event(found) for found in _event_classes() if found.__module__.endswith(f"{about}_events"))


def values(_about: str) -> str:
    """What stands inside events: every record that one of them, or another of these, holds."""
    found: dict[str, type] = {}
    for event in _event_classes():
        _inner(event, found)
    rows = [f"| `{name}` | {_first_line(found[name])} | {_fields(found[name])} |" for name in sorted(found)]
    return "\n".join(["| Value | Is | Fields |", "|---|---|---|", *rows])


PARTS: Mapping[str, Callable[[str], str]] = {
    "states": states,
    "refusal": refusal,
    "tool": tool,
    "waits": waits,
    "resources": reading,
    "prompts": prompts,
    "instructions": instructions,
    "events": events,
    "values": values,
}


def _event_classes() -> tuple[type, ...]:
    return get_args(get_args(Event)[0])


def _event(event: type) -> str:
    (kind,) = get_args(get_type_hints(event)["kind"])
    kinds = {found.__name__: get_args(get_type_hints(found)["kind"])[0] for found in _event_classes()}
    about = re.sub(r"`(\w+)`", lambda name: f"`{kinds.get(name[1], name[1])}`", inspect.getdoc(event) or "")
    return f"### `{kind}`\n\n{about}\n\n{_fields(event, but='at')}"


def _fields(holder: type, but: str = "") -> str:
    hints = get_type_hints(holder)
    names = [field.name for field in dataclasses.fields(holder) if field.name not in ("kind", but)]
    return ", ".join(f"`{name}` {_type_in_words(hints[name])}" for name in names)


def _type_in_words(hint: object) -> str:
    """`text`, `number`, `list of Finding`, `text or null`."""
    arguments = get_args(hint)
    if isinstance(hint, types.UnionType):
        return " or ".join("null" if part is type(None) else _type_in_words(part) for part in arguments)
    if get_origin(hint) is tuple:
        return f"list of {_type_in_words(arguments[0])}"
    assert isinstance(hint, type), hint
    if issubclass(hint, StrEnum):
        return " \\| ".join(f"`{member}`" for member in hint)
    words = {str: "text", int: "number", float: "number", bool: "true or false", datetime: "time"}
    return words.get(hint, hint.__name__)


def _inner(holder: object, found: dict[str, type]) -> None:
    """Collect the records that a type holds, at any depth."""
    for part in get_args(holder):
        _inner(part, found)
    if not (isinstance(holder, type) and dataclasses.is_dataclass(holder)):
        return
    for hint in get_type_hints(holder).values():
        _inner(hint, found)
    if holder not in _event_classes():
        found[holder.__name__] = holder


def _first_line(holder: type) -> str:
    return (inspect.getdoc(holder) or "").partition("\n")[0]


def _label(step: str) -> str:
    """A colon or semicolon would end a label of the diagram."""
    person = step.removeprefix("person: ")
    return person if person == step else f"{person} (a person)"


def _arguments(schema: JsonSchema) -> Iterator[str]:
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    for name, described in _object(schema.get("properties")).items():
        argument = _object(described)
        about = str(argument.get("description", "")).replace("|", "\\|")
        wanted = "**required**; " if name in names else ""
        yield f"| `{name}` | {wanted}{_takes(argument)} | {about} |"


def _takes(schema: JsonSchema) -> str:
    """A type in words."""
    match schema:
        case {"type": "object", "properties": dict(fields)}:
            return f"{{{'; '.join(f'`{name}`: {_takes(_object(field))}' for name, field in fields.items())}}}"
        case {"enum": list(values)}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": dict(items)}:
            return f"list of {_takes(items)}{_at_most(schema, 'maxItems', 'items')}"
        case {"type": "object"}:
            return f"object{_at_most(schema, 'maxProperties', 'names')}"
        case {"type": "integer"}:
            low, high = schema.get("minimum", 0), schema.get("maximum")
            return f"number from {low}" if high is None else f"number from {low} to {high}"
        case {"anyOf": list(choices)}:
            return " or ".join(_takes(_object(choice)) for choice in choices)
        case _:
            return f"text{_at_most(schema, 'maxLength', 'characters')}"


def _at_most(schema: JsonSchema, key: str, unit: str) -> str:
    return f", at most {schema[key]} {unit}" if key in schema else ""


def _object(value: object) -> JsonSchema:
    return value if isinstance(value, dict) else {}


if __name__ == "__main__":
    main()
