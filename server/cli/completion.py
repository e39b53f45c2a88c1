"""`gatewright completion`: a small script that completes commands, and the names of clients."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from .clients import CLIENTS
from .command import Exit
from .main import COMMANDS
from .terminal import Terminal

BASH = """\
_gatewright() {{
    local words="{commands}"
    [ "${{COMP_WORDS[1]}}" = install ] && [ "$COMP_CWORD" -gt 1 ] && words="{clients} --print"
    [ "$COMP_CWORD" -gt 1 ] && [ "${{COMP_WORDS[1]}}" != install ] && return
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _gatewright gatewright
"""
ZSH = """\
#compdef gatewright
_gatewright() {{
    local -a commands=(
{described}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
    elif [[ $words[2] == install ]]; then
        compadd -- {clients} --print
    else
        _files
    fi
}}
compdef _gatewright gatewright
"""
FISH = """\
{described}
complete -c gatewright -n '__fish_seen_subcommand_from install' -f -a '{clients}'
"""


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "shell", choices=tuple(_SCRIPTS), help="evaluate what is printed, or keep it where it is loaded"
    )


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Print the script."""
    template, line = _SCRIPTS[options.shell]
    described = "\n".join(line.format(name=name, about=c.about.replace("'", "")) for name, c in COMMANDS.items())
    names = {"commands": " ".join(COMMANDS), "clients": " ".join(CLIENTS), "described": described}
    terminal.write_data(template.format(**names))
    return Exit.OK


# The script, and the line for one command.
_SCRIPTS: Mapping[str, tuple[str, str]] = {
    "bash": (BASH, ""),
    "zsh": (ZSH, "        '{name}:{about}'"),
    "fish": (FISH, "complete -c gatewright -n __fish_use_subcommand -f -a {name} -d '{about}'"),
}
