"""What can be told of a shell command by reading it; pure.

Can it fail at all, which words might name a file, which modules does it start? Nothing here runs anything, and where
the text is too rich to be read this way (a loop, a here document, nested substitutions) the answer is harmless: it can
fail.
"""

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise, takewhile

_LEXEME = re.compile(
    r"""
    (?P<space>[ \t]+|\\\n)
  | (?P<comment>\#[^\n]*)
  | (?P<redirect>[0-9]*(?:<<<|<>|>>|>\||[<>]&?|&>>?)(?!<))
  | (?P<operator>\|\||&&|\|&|[;|&()\n]|[{}!](?=\s|$|;))
  | (?P<word>(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`|\$\([^()]*\)|\$\{[^{}]*\}|[^\s;|&()<>'"`\\$]|\$)+)
    """,
    re.VERBOSE | re.DOTALL,
)
DEPTH_MAX = 20

# `${NAME:?why}` ends the shell when there is no such variable.
_EXPANSION_THAT_FAILS = re.compile(r"\$\{[A-Za-z_0-9]+:?\?")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)

_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")

# Programs that succeed whatever came before them, and those that do so when they only pass on what a pipe gives them.
_ALWAYS_SUCCEED = frozenset({"true", ":", "echo", "printf"})
_PASS_ON = frozenset({"cat", "tee", "head", "tail", "sort", "uniq", "wc", "less", "more", "nl", "column", "fold"})
_SHELLS = frozenset({"sh", "bash", "dash", "zsh"})
_KEYWORDS = frozenset({"if", "for", "while", "until", "case", "function", "select", "trap", "exec", "eval", "kill"})


class _Unclear(Exception):
    """The text holds something that is not read here."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def cannot_fail(command: str) -> bool:
    """Whether `sh -c command` ends with 0 whatever the programs in it find.

    True only where that is certain: `pytest || true`, `mypy src; exit 0`, `ruff check . | tee log`, `make lint &`.
    """
    try:
        reader = _Reader(_lex(command))
        fails = reader.read_all()
    except _Unclear:
        return False
    return not fails


def program(command: str) -> str | None:
    """The program that is started first, as it is written; None where there is none, or the text is too rich."""
    try:
        texts = [_unquote(token.text) for token in _lex(command) if token.kind == "word"]
    except _Unclear:
        return None
    return next((text for text in texts if not _ASSIGNMENT.fullmatch(text)), None)


def words(command: str) -> tuple[str, ...]:
    """Every word that could name a file, also as it would be after a `cd`, the value of an option, or in `sh -c` text.

    A harmless over-count: the caller looks which of them are files.
    """
    texts = _texts(command)
    found: dict[str, None] = {}
    for text in texts:
        for part in (text, text.partition("=")[2], *(text.split() if " " in text else ())):
            found.update(dict.fromkeys(_normal(folder + part) for folder in _folders(texts) if part))
    return tuple(found)


def modules(command: str) -> tuple[tuple[str, str], ...]:
    """What is run as `-m MODULE`, with each folder where Python may look first: `("", "mypy")`, `("ci/", "mypy")`.

    A harmless over-count like `words`: other programs have an option `-m` of their own.
    """
    texts = [part for text in _texts(command) for part in text.split()]
    named = dict.fromkeys(name for before, name in pairwise(texts) if before == "-m" and _MODULE.fullmatch(name))
    return tuple((folder and f"{_normal(folder)}/", name) for name in named for folder in _folders(texts))


def folders(command: str) -> tuple[str, ...]:
    """Where the command may be at work, or have Python look first: the root as `""`, and what it changes into."""
    texts = _texts(command)
    searched = [part for text in texts if text.startswith("PYTHONPATH=") for part in text[11:].split(":")]
    return tuple(dict.fromkeys(_normal(folder) for folder in (*_folders(texts), *searched)))


def _texts(command: str) -> list[str]:
    try:
        return [_unquote(token.text) for token in _lex(command) if token.kind == "word"]
    except _Unclear:
        return command.split()


def _folders(texts: list[str]) -> list[str]:
    """Where the command may be at work: the root, and every folder that it changes into."""
    return ["", *(f"{folder}/" for before, folder in pairwise(texts) if before == "cd")]


def _lex(command: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(command):
        lexeme = _LEXEME.match(command, position)
        if lexeme is None or _EXPANSION_THAT_FAILS.search(lexeme[0]):
            raise _Unclear
        position = lexeme.end()
        if lexeme.lastgroup in {"operator", "redirect", "word"}:
            tokens.append(_Token(str(lexeme.lastgroup), lexeme[0]))
    return tokens


@dataclass
class _Reader:
    """Recursive descent over the tokens; each `read_` says whether what it read can fail."""

    tokens: list[_Token]
    depth: int = 0
    place: int = 0
    stops_at_failure: bool = False
    pipe_fails: bool = False
    may_exit: bool = False

    def read_all(self) -> bool:
        """The whole text; an `exit` with a failure may be reached wherever it stands."""
        return self.read_list(end=None) or self.may_exit

    def peek(self) -> str | None:
        """The operator at hand, or None for a word, a redirection and the end."""
        at_hand = self.tokens[self.place : self.place + 1]
        return at_hand[0].text if at_hand and at_hand[0].kind == "operator" else None

    def take(self, *operators: str) -> str | None:
        found = self.peek()
        if found is None or found not in operators:
            return None
        self.place += 1
        return found

    def read_list(self, end: str | None) -> bool:
        """Commands one after another, up to `end`: the last decides, under `set -e` any of them does."""
        decided, is_over = False, False
        while True:
            while self.take(";", "\n"):
                pass
            if self.place >= len(self.tokens) or (end is not None and self.peek() == end):
                break
            fails, is_exit = self.read_and_or()
            if self.take("&"):
                fails, is_exit = False, False
            elif self.place < len(self.tokens) and self.peek() not in {";", "\n", end}:
                raise _Unclear
            if not is_over:
                decided = fails or (self.stops_at_failure and decided)
            is_over = is_over or is_exit
        if end is not None and self.take(end) is None:
            raise _Unclear
        return decided

    def read_and_or(self) -> tuple[bool, bool]:
        """`a && b || c`; also whether it is an `exit` alone, after which nothing is run."""
        began = self.place
        fails = self.read_pipeline()
        is_exit = self.tokens[began].text == "exit"
        while operator := self.take("&&", "||"):
            while self.take("\n"):
                pass
            other = self.read_pipeline()
            fails = (fails or other) if operator == "&&" else (fails and other)
            is_exit = False
        return fails, is_exit

    def read_pipeline(self) -> bool:
        is_inverted = False
        while self.take("!"):
            is_inverted = True
        fails = self.read_command(is_piped_to=False)
        while self.take("|", "|&"):
            while self.take("\n"):
                pass
            last = self.read_command(is_piped_to=True)
            fails = last or (self.pipe_fails and fails)
        return fails or is_inverted

    def read_command(self, *, is_piped_to: bool) -> bool:
        opening = self.take("(", "{")
        if opening:
            self.depth += 1
            if self.depth > DEPTH_MAX:
                raise _Unclear
            fails = self.read_list(")" if opening == "(" else "}")
            self.depth -= 1
            self.read_words()
            return fails
        arguments = self.read_words()
        if not arguments:
            raise _Unclear
        return self.judge_simple(arguments, is_piped_to=is_piped_to)

    def read_words(self) -> list[str]:
        """The words of a simple command without what redirects it."""
        found: list[str] = []
        while self.place < len(self.tokens) and self.tokens[self.place].kind != "operator":
            token = self.tokens[self.place]
            self.place += 2 if token.kind == "redirect" else 1
            if token.kind == "word":
                found.append(_unquote(token.text))
        return found

    def judge_simple(self, arguments: list[str], *, is_piped_to: bool) -> bool:
        assigned = list(takewhile(_ASSIGNMENT.fullmatch, arguments))
        arguments = arguments[len(assigned) :]
        if not arguments:
            # An assignment alone ends as the program does whose output it takes.
            return any("$(" in each or "`" in each for each in assigned)
        program, rest = arguments[0].rpartition("/")[2], arguments[1:]
        if program in _KEYWORDS:
            raise _Unclear
        if program == "set":
            self.read_set(rest)
            return False
        if program in _SHELLS and len(rest) > 1 and re.fullmatch("-[a-z]*c", rest[0]):
            return _Reader(_lex(rest[1]), stops_at_failure="e" in rest[0]).read_all()
        if program == "exit":
            self.may_exit = self.may_exit or rest != ["0"]
            return rest != ["0"]
        passes_on = is_piped_to and program in _PASS_ON
        return not (program in _ALWAYS_SUCCEED or passes_on)

    def read_set(self, arguments: list[str]) -> None:
        for flag, name in zip(arguments, [*arguments[1:], ""], strict=True):
            letters = flag[1:] if flag[:1] in {"-", "+"} else ""
            if "e" in letters or ("o" in letters and name == "errexit"):
                self.stops_at_failure = flag[0] == "-"
            if "o" in letters and name == "pipefail":
                self.pipe_fails = flag[0] == "-"


def _unquote(word: str) -> str:
    try:
        return "".join(shlex.split(word))
    except ValueError as exc:
        raise _Unclear from exc


def _normal(path: str) -> str:
    """The path without `./` and `a/..`, as git would name it."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)
