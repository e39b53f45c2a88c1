"""What the server says reads as commands at the command line, and what others wrote stays as it is."""

import inspect
import re
import shlex
from typing import get_args, get_type_hints

import pytest

from gatewright.schemas import refusals
from gatewright.schemas.arguments import TOOLS
from gatewright.schemas.refusals import Refusal
from gatewright.server.cli.main import parse
from gatewright.server.cli.spoken import as_commands, as_typed

# A value of each type that refusals are worded with.
VALUES: dict[type, object] = {str: "c1", int: 3, float: 60.0, bool: True}


def _every_refusal() -> list[Refusal]:
    made = []
    for name, function in inspect.getmembers(refusals, inspect.isfunction):
        hints = get_type_hints(function)
        if function.__module__ != refusals.__name__ or hints.pop("return", None) is not Refusal or "refusal" in hints:
            continue
        given = {key: VALUES.get(hint) or _value(hint) for key, hint in hints.items()}
        made.append(function(**given))
        assert made[-1].next, name
    return made


def _value(hint: object) -> object:
    first = get_args(hint)[0]
    return (
        "bad_argument"
        if first is refusals.RefusalCode
        else ("c1",)
        if str(hint).startswith("collections")
        else (first if isinstance(first, str) else "c1")
    )


@pytest.mark.parametrize("command", ["submit", "release", "approve", "why"])
def test_no_refusal_names_a_tool_at_the_command_line_and_what_it_names_is_a_command(command: str) -> None:
    made = _every_refusal()
    assert len(made) > 40, "every refusal was tried"
    for refusal in made:
        said = as_commands(f"{refusal.message} {refusal.next}", command)

        assert not any(tool in said for tool in TOOLS), said
        assert not re.search(r"[{}\[\]]", said), f"no data formats: {said}"
        for named in re.findall(r"`gatewright ([a-z-]+ [^`]*)`", said):
            parse(shlex.split(named.replace("BECAUSE", "cannot")))


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ('wait_for_update(change="c1") tells when.', "`gatewright wait c1` tells when."),
        ("claim_stage again.", "`gatewright claim` again."),
        (
            "get_evidence shows it, then submit_artifact",
            "`gatewright evidence CHANGE STAGE` shows it, then `gatewright submit --summary TEXT`",
        ),
        ("call `claim_stage` again", "call `gatewright claim` again"),
        ('claim_stage(agent="<your name>", change="c1")', "`gatewright claim c1 --agent '<your name>'`"),
        ("start_change(title, intent) begins one.", "`gatewright start TITLE --intent TEXT` begins one."),
        ('get_evidence(change="c1", stage="code", attempt=2)', "`gatewright evidence c1 code --attempt 2`"),
        ('read_artifact(change="c1", stage="a", path="diff")', "`gatewright read c1 a diff`"),
        ('release_stage(because="withdraw")', "`gatewright release withdraw REASON`"),
        ("check_gates first costs no attempt.", "`gatewright check` first costs no attempt."),
        ("Answer it in `answers`.", "Answer it in `--answer FINDING=DISPOSITION:NOTE`."),
        ("Call again with offset=300.", "Call again with offset=300."),
        (
            "Say it in `answers`, and set `network`.",
            "Say it in `--answer FINDING=DISPOSITION:NOTE`, and set `network`.",
        ),
        ("Raise `limits`; `gatewright why c1` says more.", "Raise `limits`; `gatewright why c1` says more."),
    ],
)
def test_a_call_is_the_command_with_its_arguments(said: str, typed: str) -> None:
    assert as_commands(said, "claim") == typed


def test_an_argument_of_the_command_itself_is_named_as_it_is_typed() -> None:
    assert as_commands("Call again with offset=300 for the rest.", "read") == (
        "Call again with `--offset 300` for the rest."
    )


def test_what_a_file_or_a_program_says_stays_as_it_is() -> None:
    """Also where a file that is read quotes the very sentence that the reply ends with."""
    quoted = "text\nnext: claim_stage for other work.\n"
    action = "claim_stage for other work."
    text = f"one file\ntext:\n  {quoted}\nnext: {action}"
    result = {
        "structuredContent": {"text": quoted, "output": "claim_stage", "next": action},
        "content": [{"type": "text", "text": text}],
    }

    told = as_typed(result, "read")

    assert told["structuredContent"] == {
        "text": quoted,
        "output": "claim_stage",
        "next": "`gatewright claim` for other work.",
    }
    assert told["content"] == [
        {"type": "text", "text": f"one file\ntext:\n  {quoted}\nnext: `gatewright claim` for other work."}
    ]


def test_a_refusal_is_told_in_commands_whole() -> None:
    refused = refusals.bad_argument("`summary` is missing", tool="submit_artifact")
    result = {
        "isError": True,
        "structuredContent": {"code": str(refused.code), "message": refused.message, "next": refused.next},
        "content": [{"type": "text", "text": str(refused)}],
    }

    told = as_typed(result, "submit")["structuredContent"]

    assert told == {
        "code": "bad_argument",
        "message": "Bad argument of `gatewright submit`: `--summary TEXT` is missing.",
        "next": "Call again with that corrected.",
    }


def test_whose_own_work_it_is_hears_who_else_may_review_it() -> None:
    """One account is one caller on the command line, so a second terminal of it does not help."""
    said = as_commands(refusals.own_work("c1", "code", "review").next, "claim")

    assert "MCP connection or a token of its own" in said
    assert "one account" in said
    assert "`run`" in said
