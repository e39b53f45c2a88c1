"""What `doctor` knows to mend: concrete changes of files in the working tree, shown as a diff, never committed."""

import difflib
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...schemas.pipeline import PIPELINE_FILE
from .command import CannotGoOn
from .pipeline_edit import with_option, without_swallowing
from .terminal import Terminal


@dataclass(frozen=True)
class Mend:
    """One change; `what` ends a sentence: "let code/test use the network".

    `edit` gives the new text of the pipeline, None where it cannot be changed safely; `files` are new ones beside it.
    """

    what: str
    edit: Callable[[str], str | None]
    files: Mapping[str, str] = field(default_factory=dict)


def option_mend(what: str, label: str, option: str, value: object, files: Mapping[str, str] | None = None) -> Mend:
    """Set an option of the gate that people call `label`, such as `code/test`."""
    stage, _, gate = label.partition("/")
    return Mend(what, lambda text: with_option(text, stage, gate, option, value), files or {})


def swallowing_mend(top: Path) -> Mend | None:
    """Let commands fail that cannot, if the pipeline in the working tree has any that can be mended."""
    mend = Mend("let commands fail that swallow their exit code", without_swallowing)
    file = top / PIPELINE_FILE
    return mend if file.is_file() and mend.edit(file.read_text("utf-8", "surrogateescape")) is not None else None


def offer(mends: Sequence[Mend], top: Path, options: Namespace, terminal: Terminal) -> None:
    """Say what could be mended, with `--fix` show it as a diff, and write it when a person, or `--yes`, says so."""
    if not mends:
        return
    if not options.fix:
        terminal.say(f"\n`gatewright doctor --fix` offers to {_joined([mend.what for mend in mends])}.", "bold")
        return
    before = {PIPELINE_FILE: _read(top / PIPELINE_FILE)}
    after = dict(before)
    for mend in mends:
        changed = mend.edit(after[PIPELINE_FILE])
        if changed is None:
            terminal.say(f"{PIPELINE_FILE} here is written so that only you can {mend.what}.", "yellow")
            continue
        after |= {PIPELINE_FILE: changed, **mend.files}
        before |= {path: _read(top / path) for path in mend.files}
    if after == before:
        return
    terminal.say("\n" + "".join(_diff(before, after)).rstrip())
    if not (options.yes or (terminal.is_interactive and terminal.confirm("\nWrite this into the working tree?"))):
        raise CannotGoOn("Nothing was written.", "gatewright doctor --fix --yes writes it.", code="not_confirmed")
    for path, text in after.items():
        _write(top / path, text)
    terminal.say(f"Written: {', '.join(after)}. It holds once it is committed on the trusted branch.", "green")


def _read(file: Path) -> str:
    if not file.exists():
        return ""
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return stream.read()


def _write(file: Path, text: str) -> None:
    from ...gates.files import replace_text

    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, text, mode=file.stat().st_mode & 0o777 if file.exists() else 0o644)


def _diff(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for path, text in after.items():
        was, now = before[path].splitlines(keepends=True), text.splitlines(keepends=True)
        yield from difflib.unified_diff(was, now, f"a/{path}" if was else "/dev/null", f"b/{path}")


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
