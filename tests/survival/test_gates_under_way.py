"""While a gate runs: whoever stands between it and the client is killed or replaced, and its verdict comes once."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from gatewright.server.liveness import is_running
from gatewright.server.store import open_store

from ..acceptance.house import solo
from .conftest import Worlds
from .session import GENERATIONS, PATIENCE_S, Caller, Content, World, end, until

WAIT_S = 60


class Held:
    """A world whose gate writes its process id and runs until the test lets go."""

    def __init__(self, worlds: Worlds, folder: Path) -> None:
        self.ran, self.release = folder / "ran", folder / "release"
        gate = f"echo $$ >> {self.ran}; while test ! -e {self.release}; do sleep 0.05; done"
        self.world: World = worlds(solo(f'{{command: {{name: held, run: "{gate}"}}}}'))

    def gates(self) -> list[int]:
        return [int(line) for line in self.ran.read_text().split()] if self.ran.exists() else []

    def until_started(self, count: int) -> None:
        until(lambda: len(self.gates()) >= count, time.monotonic() + PATIENCE_S)


class Asking:
    """A call that waits in a thread of its own."""

    def __init__(self, ask: Callable[[], Content]) -> None:
        self._told: list[Content] = []
        self._thread = Thread(target=lambda: self._told.append(ask()), daemon=True)
        self._thread.start()

    def told(self) -> Content:
        self._thread.join(WAIT_S + PATIENCE_S)
        assert self._told, "the call was never answered"
        return self._told[0]


@pytest.fixture
def held(worlds: Worlds, tmp_path: Path) -> Iterator[Held]:
    held = Held(worlds, tmp_path)
    yield held
    held.release.touch()


def claimed(held: Held, **options: str) -> tuple[Caller, str]:
    """Somebody with work in her workspace, and her lease."""
    ada = Caller(held.world, "ada", **options)
    ada.hello()
    ada.ask("start_change", "start", title="Add sub", intent="Subtract.", key="start")
    brief = ada.ask("claim_stage", "claim", agent="ada", key="claim")
    (Path(brief["workspace"]) / "sub.py").write_text("SUB = 1\n")
    return ada, str(brief["lease"])


@pytest.mark.slow
@pytest.mark.parametrize("above", range(5), ids=["program", "launcher", "supervisor", "runner", "nursery"])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_whoever_is_killed_below_the_server_the_attempt_passes_once(held: Held, above: int, generation: str) -> None:
    """A gate that was killed could not judge: it is tried again, and costs no attempt."""
    ada, lease = claimed(held, generation=generation)
    given = {"lease": lease, "summary": "Work.", "wait_s": WAIT_S, "key": "submit"}
    asking = Asking(lambda: ada.ask("submit_artifact", "submit", **given))
    held.until_started(1)
    victim = ancestor(held.gates()[0], above)

    end(victim)
    held.release.touch()
    verdict = asking.told()
    again = ada.ask("submit_artifact", "submit", **given)

    assert (verdict["outcome"], verdict["attempt"]) == ("passed", 1)
    assert again["evaluation"] == verdict["evaluation"]
    assert not [pid for pid in held.gates() if is_running(pid)], "a killed gate's program runs on"


@pytest.mark.slow
def test_an_upgrade_in_the_middle_of_a_gate_judges_it_once_and_nobody_notices(held: Held) -> None:
    """The older server judges to the end what it began; who waits for it is answered by the newer one."""
    ada, lease = claimed(held, version="1.0.0")
    older = held.world.server_pid()
    asking = Asking(lambda: ada.ask("check_gates", lease=lease, wait_s=WAIT_S))
    held.until_started(1)

    bob = Caller(held.world, "bob", version="1.1.0")
    bob.hello()
    status = bob.ask("get_status")
    newer = held.world.server_pid()
    assert older is not None
    assert is_running(older), "it left in the middle of its work"
    held.release.touch()
    verdict = asking.told()

    assert newer != older
    assert [found["change"] for found in status["changes"]] == ["c1"]
    assert (verdict["state"], verdict["outcome"]) == ("settled", "passed")
    assert tries_of(held, verdict["evaluation"]) == 1
    until(lambda: not is_running(older), time.monotonic() + PATIENCE_S)


def tries_of(held: Held, evaluation: str) -> int:
    store = open_store(held.world.repository.state, create=False)
    row = store.read(lambda tx: tx.find_evaluation(evaluation))
    store.close()
    assert row is not None
    return row.tries


def ancestor(pid: int, above: int) -> int:
    """The process so many generations above."""
    for _ in range(above):
        pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    return pid
