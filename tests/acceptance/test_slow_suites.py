"""docs/real-repositories.md: attempts may run a fast part of a suite; what lands has passed all of it."""

import pytest

from gatewright.schemas.records import ChangeState

from .conftest import Repositories
from .house import serving

pytestmark = pytest.mark.anyio

PIPELINE = """\
version: 1
target: main
stages:
  code:
    goal: Make the change.
    gates:
      - test: {name: fast, paths: [tests/fast]}
land: {needs: [code], gates: [test]}
"""
FAST = "from calc import add\n\n\ndef test_adds():\n    assert add(1, 2) == 3\n"
SLOW = "from calc import add\n\n\ndef test_adds_text():\n    assert add('a', 'b') == 'ab'\n"
NUMBERS_ONLY = "def add(a, b):\n    return int(a) + int(b)\n"
BOTH = 'def add(a, b):\n    """Numbers and texts."""\n    return a + b\n'


@pytest.mark.slow
async def test_a_stage_runs_the_fast_part_and_landing_runs_everything(make: Repositories) -> None:
    repository = make(PIPELINE)
    repository.write("tests/fast/test_fast.py", FAST)
    repository.write("tests/slow/test_slow.py", SLOW)
    repository.commit("Test add")
    async with serving(repository) as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim()
        checked = await ada.get("check_gates", lease=brief["lease"], gates=["fast"])
        passed = await ada.submit(brief, {"calc.py": NUMBERS_ONLY})

        assert [gate["gate"] for gate in checked["gates"]] == ["fast"]
        assert passed["outcome"] == "passed", passed.text
        assert {gate["gate"]: gate["count"] for gate in passed["gates"]}["fast"] == 1

        record = await server.until(change, lambda record: record.landing_failures == 1 or record.stage("code").notes)
        assert record.state is not ChangeState.LANDED
        again = await ada.claim()
        note = next(note for note in again["notes"] if "test failed on the merge" in note)
        assert "calc.py:2: " in note, "who ran only the fast part is told what the rest says"
        assert "test_adds_text" in note

        mended = await ada.submit(again, {"calc.py": BOTH})
        assert mended["outcome"] == "passed", mended.text
        await server.landed(change)

    assert repository.git("show", "main:calc.py") == BOTH.strip()
