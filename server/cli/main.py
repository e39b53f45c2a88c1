"""The command line: find the command, import its module alone, and turn what it raises into a sentence.

A command's module holds `configure` and `run`: see `command.CommandModule`.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import cast

from ... import __version__
from .command import Command, CommandModule, Exit, Group, UsageError
from .declared_arguments import CommandParser
from .team import add_team, refuse_team
from .team_server import add_server, refuse_server
from .terminal import Terminal

COMMANDS: Mapping[str, Command] = {
    "init": Command("init", Group.SETUP, "write gatewright.yaml for this project and record the trusted branch"),
    "install": Command("install", Group.SETUP, "plug gatewright into a client: claude-code, codex, ..."),
    "doctor": Command("doctor", Group.SETUP, "look at the surroundings, and prove that every gate can pass and fail"),
    "check-pipeline": Command("check_pipeline", Group.SETUP, "every problem of a gatewright.yaml, with its line"),
    "stop-hook": Command("stop_hook", Group.SETUP, "for Claude Code: let no turn end with work that was not handed in"),
    "guard": Command("guard", Group.SETUP, "let the trusted branch move by landings only (a git hook)"),
    "requirements": Command("requirements", Group.SETUP, "what pip has to install for a pyproject.toml; used by setup"),
    "completion": Command("completion", Group.SETUP, "print a completion script for bash, zsh or fish"),
    "demo": Command("demo", Group.SETUP, "watch scripted agents go through gates, in a scratch repository"),
    "uninstall": Command("uninstall", Group.SETUP, "take away everything that gatewright wrote here"),
    "status": Command("twins", Group.LOOKING, "what waits for people, every change and its stages"),
    "board": Command("board", Group.LOOKING, "the same in a browser, live"),
    "why": Command("why", Group.LOOKING, "why a change or a stage does not move, and what would unlock it"),
    "fsck": Command("fsck", Group.LOOKING, "examine the store, the artifacts and the refs, and say what to do"),
    "log": Command("log", Group.LOOKING, "everything that happened to a change"),
    "evidence": Command("twins", Group.LOOKING, "what the gates found about an attempt"),
    "read": Command("twins", Group.LOOKING, "what was handed in: the list of files, a file, the diff"),
    "verify": Command("verify", Group.LOOKING, "did exactly this commit's content pass the gates? (for CI)"),
    "start": Command("twins", Group.AGENTS, "open a change: an intent that goes through the stages"),
    "claim": Command("twins", Group.AGENTS, "lease a stage and get the brief"),
    "brief": Command("brief", Group.AGENTS, "show the brief of the lease in this workspace again"),
    "renew": Command("twins", Group.AGENTS, "keep the lease"),
    "check": Command("twins", Group.AGENTS, "run the gates without handing in"),
    "submit": Command("twins", Group.AGENTS, "hand in the workspace and wait for the verdict"),
    "wait": Command("twins", Group.AGENTS, "wait for a verdict or for news"),
    "review": Command("twins", Group.AGENTS, "hand in a review"),
    "release": Command("twins", Group.AGENTS, "let go of a stage and say why"),
    "run-aider": Command("run_aider", Group.AGENTS, "have aider work on a stage, and tell by the gates how it went"),
    "answer": Command("answer", Group.PEOPLE, "answer what a gate asks about an attempt"),
    "approve": Command("approve", Group.PEOPLE, "approve what a stage handed in, or what is about to land"),
    "reject": Command("approve", Group.PEOPLE, "refuse to approve it, and say why"),
    "people": Command("registering", Group.PEOPLE, "who is registered to decide: list, add, remove"),
    "reopen": Command("people", Group.PEOPLE, "open a passed or escalated stage again"),
    "retry-gates": Command("people", Group.PEOPLE, "judge an escalated stage's artifact again"),
    "grant-attempts": Command("people", Group.PEOPLE, "give an escalated stage more attempts"),
    "repin": Command("people", Group.PEOPLE, "judge a change by the trusted branch's policy of now"),
    "cancel": Command("people", Group.PEOPLE, "end a change"),
    "land": Command("people", Group.PEOPLE, "try landing again now"),
    "serve": Command("serve", Group.TEAM, "serve this repository over HTTP, to agents on other machines"),
    "worker": Command("worker", Group.TEAM, "run gates for the servers of a team, on as many machines as wanted"),
    "migrate": Command("migrate", Group.TEAM, "make the store in a PostgreSQL database, or look whether it is sound"),
    "move-store": Command("move_store", Group.TEAM, "bring this repository's store into PostgreSQL, with nothing lost"),
    "token": Command("token", Group.TEAM, "who may call over HTTP: issue a token, list, revoke"),
}

_OVER_HTTP = "Agents of a team call its server over HTTP, with a token."
# What works in a repository of this machine alone, and what there is for a team in its place.
_HERE_ALONE: Mapping[str, str] = {
    "install": "What clients of a team are told stands in docs/team.md.",
    "guard": "The remote's own rules say who may move the trusted branch there.",
    **dict.fromkeys(("init", "demo", "uninstall"), ""),
    **dict.fromkeys(("claim", "brief", "renew", "check", "submit", "review", "release", "run-aider"), _OVER_HTTP),
}
# They ask for no store, or see to it themselves.
_STORELESS = frozenset({"check-pipeline", "stop-hook", "requirements", "completion"})
_TEAMS_OWN = frozenset(name for name, command in COMMANDS.items() if command.group is Group.TEAM)

# What a team's server does over HTTP, for people with a token.
_OVER_SERVER = frozenset(
    {
        *(name for name, command in COMMANDS.items() if command.group is Group.PEOPLE and name != "people"),
        *("board", "doctor", "status", "why", "log", "evidence", "read", "wait", "start"),
    }
)

HELP_HINT = "`gatewright --help` lists the commands."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status; no arguments mean `status`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whatever is still buffered has no reader; Python would complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PIPE_CLOSED


def parse(arguments: Sequence[str]) -> tuple[str, CommandModule, argparse.Namespace]:
    """The command, its module and its options; ends the program as argparse does for `--help` and wrong arguments."""
    common = _common_options()
    early, rest = common.parse_known_args(_before_command(arguments))
    if rest:
        _top_parser(common).error(f"{rest[0]!r} is no option of gatewright; {HELP_HINT}")
    name, *own = arguments[len(_before_command(arguments)) :] or ["status"]
    command = COMMANDS.get(name)
    if command is None:
        _top_parser(common).error(f"{name!r} is no command{_nearest(name)}; {HELP_HINT}")
    module = cast(CommandModule, import_module(f".{command.module}", __package__))
    parser = CommandParser(
        prog=f"gatewright {name}", description=f"{command.about[0].upper()}{command.about[1:]}.", parents=[common]
    )
    module.configure(name, parser)
    if name not in _STORELESS | _TEAMS_OWN:
        add_team(parser, is_shown=name not in _HERE_ALONE)
    if name in _OVER_SERVER:
        add_server(parser)
    parser.set_defaults(**vars(early))
    options = parser.parse_args(own)
    parser.complain_about_empty(options)
    return name, module, options


def _run(arguments: Sequence[str]) -> int:
    before = _before_command(arguments)
    if {"-h", "--help", "help"} & set(before) or arguments[len(before) :][:1] == ["help"]:
        print(_help())
        return Exit.OK
    if "--version" in before:
        print(f"gatewright {__version__}")
        return Exit.OK
    name, module, options = parse(arguments)
    terminal = Terminal(colour=not getattr(options, "no_color", False))
    try:
        if name in _HERE_ALONE:
            refuse_team(name, options, _HERE_ALONE[name])
            refuse_server(options)
        status = module.run(name, options, terminal)
        terminal.flush()
    except UsageError as exc:
        terminal.warn(f"gatewright {name}: {exc}")
        return Exit.USAGE
    except (BrokenPipeError, KeyboardInterrupt):
        terminal.clear_progress()
        raise
    except Exception as exc:  # told in a sentence when it is an expected problem, else it surfaces
        from .failures import failure_of, tell

        problem = _single(exc)
        failure = failure_of(problem)
        if failure is None:
            raise
        return tell(failure, terminal, command=name, as_json=getattr(options, "json", False))
    return status


def _common_options() -> CommandParser:
    """What every command takes, before its name or after it. Absent when not given: neither place hides the other."""
    parser = CommandParser(prog="gatewright", add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument("--repo", metavar="PATH", help="the repository (default: the one of this folder)")
    parser.add_argument("--no-color", action="store_true", help="no colours; the variable NO_COLOR says the same")
    return parser


def _top_parser(common: CommandParser) -> CommandParser:
    return CommandParser(prog="gatewright", usage="gatewright [--repo PATH] COMMAND ...", parents=[common])


def _before_command(arguments: Sequence[str]) -> list[str]:
    """The options that stand before the command's name."""
    before: list[str] = []
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        before.append(rest.pop(0))
        if before[-1] == "--repo" and rest:
            before.append(rest.pop(0))
    return before


def _help() -> str:
    lines = ["Usage: gatewright [--repo PATH] [--no-color] COMMAND ...", ""]
    lines += ["Staged gates for coding agents: what is handed in is judged by the server, on the commit."]
    width = max(map(len, COMMANDS))
    for group in Group:
        lines += ["", f"{group}:"]
        lines += [f"  {name:<{width}}  {c.about}" for name, c in COMMANDS.items() if c.group is group]
    lines += [
        "",
        "`gatewright COMMAND --help` shows a command's arguments. Without a command: status on a terminal, the",
    ]
    lines += [
        "MCP server on a pipe. Exit status: 0 ok or passed, 1 gates failed, 2 usage, 3 refused, 4 errored, 5 not yet."
    ]
    return "\n".join(lines)


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _single(problem: Exception) -> BaseException:
    """The one problem in a task group's wrapping, if there is just one."""
    inner: BaseException = problem
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return inner
