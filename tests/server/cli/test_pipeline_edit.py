"""What `doctor --fix` changes in a pipeline is one option; comments and layout stay as people wrote them."""

import pytest

from gatewright.gates.policy import parse_pipeline
from gatewright.server.cli.pipeline_edit import with_option, without_swallowing

TEXT = """\
# Ours.
version: 1
target: main
stages:
  code:
    gates:   # in order
      - ruff
      - compile:
      - test: {runner: pytest}   # quick
      - command: {name: lint, run: "sh lint.sh"}
      - command:
          # The slow one.
          name: slow
          run: make check   # all of it
      - command:
          run: make other
land:
  needs: [code]
  gates:
    - test: {runner: pytest, timeout: 5m}
"""


@pytest.mark.parametrize(
    ("stage", "gate", "option", "value", "line"),
    [
        ("code", "ruff", "select", ["E", "F"], "      - ruff: {select: [E, F]}"),
        ("code", "compile", "absolute", True, "      - compile: {absolute: true}"),
        ("code", "test", "plugins", ["pytest-cov"], "      - test: {runner: pytest, plugins: [pytest-cov]}   # quick"),
        (
            "code",
            "lint",
            "canary",
            "a b.patch",
            '      - command: {name: lint, canary: "a b.patch", run: "sh lint.sh"}',
        ),
        ("code", "slow", "canary", "a.patch", "          canary: a.patch"),
        ("code", "command", "canary", "a.patch", "          canary: a.patch"),
        ("land", "test", "timeout", "9m", '    - test: {runner: pytest, timeout: "9m"}'),
    ],
)
def test_an_option_is_set_and_all_else_stays(stage: str, gate: str, option: str, value: object, line: str) -> None:
    changed = with_option(TEXT, stage, gate, option, value)

    assert changed is not None
    assert line in changed.splitlines()
    kept = [text for text in TEXT.splitlines() if text not in changed.splitlines()]
    assert len(kept) <= 1
    land = parse_pipeline(changed).land.gates or ()
    [spec] = [s for s in (land if stage == "land" else parse_pipeline(changed).stages[stage].gates) if s.name == gate]
    assert spec.options[option] == value


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        (TEXT, "no-such-gate"),
        (TEXT.replace("version: 1", "version: 2"), "ruff"),
        (TEXT.replace("{runner: pytest}   #", "&same {runner: pytest}   #").replace("- ruff", "- ruff: {}"), "gone"),
        ("stages: [", "ruff"),
    ],
)
def test_what_cannot_be_changed_safely_is_left(text: str, gate: str) -> None:
    assert with_option(text, "code", gate, "absolute", value=True) is None


def test_an_option_that_another_gate_shares_by_an_alias_is_left() -> None:
    shared = TEXT.replace("- test: {runner: pytest}   # quick", "- test: &same {runner: pytest}")
    shared = shared.replace("{runner: pytest, timeout: 5m}", "*same")

    assert parse_pipeline(shared).version == 1
    assert with_option(shared, "code", "test", "absolute", value=True) is None


@pytest.mark.parametrize(
    ("run", "mended"),
    [
        ("pytest || true", "pytest"),
        ("mypy src; exit 0", "mypy src"),
        ("make lint || :", "make lint"),
        ("pytest || true || true", "pytest"),
        ("true", None),
        ("echo fine", None),
        ("pytest", None),
    ],
)
def test_a_command_that_swallows_its_failure_no_longer_does(run: str, mended: str | None) -> None:
    text = f"stages:\n  code:\n    gates:\n      - command: {{run: {run!r}}} # why\n"

    changed = without_swallowing(text)

    assert changed == (None if mended is None else text.replace(run, mended))
