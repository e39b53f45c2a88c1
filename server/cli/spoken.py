"""What the server says, as it reads at the command line: a call of a tool is the command that is this tool.

The server words all that it says for clients which call tools. Here, and nowhere else, that becomes what a person or a
script can type: from the very arguments that the commands declare, so that what is named is a command. What programs
and people wrote (findings, outputs, files, titles) stays as it is.
"""

import re
import shlex
from argparse import ZERO_OR_MORE, Action
from collections.abc import Iterator, Mapping
from functools import cache

from .declared_arguments import CommandParser
from .tool_arguments import TWINS

# The fields of replies in which the server says what to do; elsewhere a tool's name may be anything.
GUIDANCE = frozenset({"next", "how", "unlock", "adopt", "notes", "satisfy"})
MESSAGE = "message"
REFUSAL_GUIDANCE = GUIDANCE | {MESSAGE}

_COMMANDS: Mapping[str, str] = {twin.tool: name for name, twin in TWINS.items()}
_TOOL = rf"(?P<tool>{'|'.join(_COMMANDS)})\b(?:\((?P<given>[^()]*)\))?"
_CALL = re.compile(rf"`{_TOOL}`|\b{_TOOL.replace('?P<tool>', '?P<bare>').replace('?P<given>', '?P<with>')}")
_GIVEN = re.compile(r"""(\w+)(?:=("[^"]*"|<[^>]*>|[^,\s]+))?""")
_QUOTED_NAME = re.compile(r"`(\w+)`")
_NAME_WITH_VALUE = re.compile(r"(?<![\w-])(\w+)=([\w.-]+)")


def as_commands(text: str, command: str, *, in_full: bool = True) -> str:
    """The text with the commands in the place of the tools, for whoever gave `command`.

    In full: with what a command cannot do without, also where the text only names it. Names of arguments become what is
    typed for them, when they are arguments of this command, of one that is named, or of one alone.
    """
    tools = [TWINS[command].tool] if command in TWINS else []
    tools += [found["tool"] or found["bare"] for found in _CALL.finditer(text)]
    typed = _CALL.sub(lambda found: _typed_call(found, in_full=in_full), text)
    typed = _QUOTED_NAME.sub(lambda found: _typed_name(found[0], found[1], None, tools), typed)
    return _NAME_WITH_VALUE.sub(lambda found: _typed_name(found[0], found[1], found[2], tools), typed)


def as_typed(result: Mapping[str, object], command: str) -> Mapping[str, object]:
    """A tool's result in which what to do next is said in commands, in both of its forms."""
    content, texts = result.get("structuredContent"), result.get("content")
    if not isinstance(content, dict) or not isinstance(texts, list):
        return result
    changed: list[tuple[str, str]] = []
    told = _spoken(content, REFUSAL_GUIDANCE if result.get("isError") else GUIDANCE, command, changed)
    shown = [{**part, "text": _replaced(part["text"], changed)} if "text" in part else part for part in texts]
    return {**result, "structuredContent": told, "content": shown}


def fields_as_typed(content: Mapping[str, object], command: str) -> dict[str, object]:
    """The fields of a reply in which what to do next is said in commands."""
    return _spoken(content, GUIDANCE, command, [])


def _spoken(
    content: Mapping[str, object], guidance: frozenset[str], command: str, changed: list[tuple[str, str]]
) -> dict[str, object]:
    """The same fields; `changed` gets each text that is another now, and what it is."""

    def walk(value: object, name: str) -> object:
        match value:
            case str() if name in guidance:
                typed = as_commands(value, command, in_full=name != MESSAGE)
                if typed != value:
                    changed.append((value, typed))
                return typed
            case list():
                return [walk(item, name) for item in value]
            case dict():
                return {name: walk(part, name) for name, part in value.items()}
            case _:
                return value

    return {name: walk(part, name) for name, part in content.items()}


def _replaced(text: str, changed: list[tuple[str, str]]) -> str:
    """The reply's text with what was changed; its last line is `next`, which a file that it shows may quote."""
    body, last, said = text.rpartition("\nnext: ")
    *others, (old, new) = changed or [("", "")]
    is_next = bool(last) and said == old
    for was, now in others if is_next else changed:
        body = body.replace(was, now)
    return f"{body}{last}{new if is_next else said}"


def _typed_call(found: re.Match[str], *, in_full: bool) -> str:
    tool, given = found["tool"] or found["bare"], found["given"] if found["tool"] else found["with"]
    words = _words(tool, given or "") if in_full or given is not None else ()
    return f"`{' '.join(['gatewright', _COMMANDS[tool], *words])}`"


def _words(tool: str, given: str) -> Iterator[str]:
    """What stands behind the command: what the call gives, and what the command cannot do without."""
    values: dict[str, str] = dict(_GIVEN.findall(given))
    named = {id(action): value for name, value in values.items() if (action := _find(tool, name)) is not None}
    actions = _declared(tool)
    positionals = [action for action in actions if not action.option_strings]
    last = max((number for number, action in enumerate(positionals) if id(action) in named), default=-1)
    for number, action in enumerate(positionals):
        if number <= last or (action.required and action.nargs != ZERO_OR_MORE):
            yield _typed(action, named.get(id(action)))
    for action in actions:
        if action.option_strings and (id(action) in named or action.required):
            yield _typed(action, named.get(id(action)))


def _typed_name(whole: str, name: str, value: str | None, tools: list[str]) -> str:
    having = {tool: action for tool in _COMMANDS if (action := _find(tool, name)) is not None}
    meant = [having[tool] for tool in tools if tool in having]
    if not meant and value is None and len(having) == 1:
        # What one tool alone takes needs no tool beside it to be understood.
        meant = [*having.values()]
    return f"`{_typed(meant[0], value)}`" if meant else whole


def _typed(action: Action, value: str | None) -> str:
    """One argument as it is typed: its value, or what stands for it in the help."""
    shown = shlex.quote(value.strip('"')) if value else str(action.metavar)
    return f"{action.option_strings[0]} {shown}" if action.option_strings else shown


def _find(tool: str, name: str) -> Action | None:
    """What is typed for an argument of the tool; what a tool takes as a list is given one by one."""
    found = {action.dest: action for action in _declared(tool)}
    return found.get(name) or found.get(name.removesuffix("s"))


@cache
def _declared(tool: str) -> tuple[Action, ...]:
    parser = CommandParser(add_help=False)
    TWINS[_COMMANDS[tool]].configure(parser)
    return tuple(parser.declared)
