"""What one judgement or answer allows is allowed once, for what was looked at, and nowhere else."""

from pathlib import Path

import pytest

from gatewright.gates.machine import commands as c
from gatewright.schemas.records import LandingStep

from .conftest import Repositories
from .house import OK_GATE, serving, solo, write_all

pytestmark = pytest.mark.anyio

PREPARED = f"""\
version: 1
target: main
stages:
  prepare: {{gates: [{OK_GATE}]}}
  code: {{needs: [prepare], gates: [ruff]}}
land: {{needs: [code]}}
"""

TWICE = f"""\
version: 1
target: main
stages:
  code: {{gates: [{{ruff: {{select: [S307]}}}}]}}
  after: {{needs: [code], gates: [{OK_GATE}]}}
land: {{needs: [after]}}
"""


@pytest.mark.slow
async def test_what_a_stage_without_ruff_hid_is_asked_at_landing_though_the_next_stage_passed(
    make: Repositories,
) -> None:
    """The stage's pass was about what *it* hid; on the same tree and base the landing looks at all of the change."""
    async with serving(make(PREPARED)) as server, server.agent() as ada:
        await ada.start()
        await ada.pass_stage({"hidden.py": "import os  # noqa\n"})
        await ada.pass_stage({"more.py": "a = 1\n"})
        record = await server.until(
            "c1", lambda r: r.landing is not None and r.landing.step is not LandingStep.PREPARING
        )

    assert record.landing is not None
    assert (record.landing.step, record.landing.asked) == (LandingStep.ASKING, ("ruff",))


@pytest.mark.slow
async def test_a_line_that_was_allowed_in_one_place_is_asked_about_in_two(make: Repositories) -> None:
    line = "return eval(text)  # noqa: S307"
    one = f"def f(text):\n    {line}\n"
    async with serving(make(TWICE)) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        await ada.submit(brief, {"a.py": one})
        await server.decide("c1", c.Answer("code", "ruff", True, "person:eve", ""))
        await server.decide("c1", c.Reopen("code", "person:eve", "again"))
        same = await ada.submit(await ada.claim(), {"a.py": one, "b.py": ""})
        await server.decide("c1", c.Reopen("code", "person:eve", "more"))
        more = await ada.submit(await ada.claim(), {"a.py": f"{one}\n\ndef g(text):\n    {line}\n"})

    assert same["outcome"] == "passed", same.text
    assert more["outcome"] == "pending", more.text


@pytest.mark.slow
@pytest.mark.usefixtures("unconfined")
async def test_luck_is_not_served_again(make: Repositories, tmp_path: Path) -> None:
    """Checks cost nothing, so they can be repeated until broken work passes once: that pass is not the submission's."""
    unlucky = tmp_path / "unlucky"
    unlucky.touch()
    pipeline = solo(f'{{command: {{name: luck, run: "test ! -e {unlucky}"}}}}')
    async with serving(make(pipeline)) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        write_all(Path(brief["workspace"]), {"a.txt": "a"})
        checks = [await ada.get("check_gates", lease=brief["lease"])]
        unlucky.unlink()
        checks.append(await ada.get("check_gates", lease=brief["lease"]))
        unlucky.touch()
        verdict = await ada.submit(brief)

    assert [check["outcome"] for check in checks] == ["failed", "passed"]
    assert verdict["outcome"] == "failed"
