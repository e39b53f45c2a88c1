"""The bridge after a killed one goes on as the same caller; nobody else ever does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatewright.server import seats
from gatewright.server.seats import SEATS_FOLDER, Seat, take_seat

PROGRAM = """
import sys
from gatewright.server.seats import take_seat
seat = take_seat(sys.argv[1], sys.argv[2])
print(seat.name, flush=True)
if sys.stdin.readline() == "leave\\n":
    seat.leave()
"""


class Sitter:
    """A bridge's process, child of this one: it sits down, and ends in order or is killed."""

    def __init__(self, common_dir: Path, fresh: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(common_dir), fresh], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.name = self._process.stdout.readline().decode().strip()

    def leave(self) -> None:
        self._process.communicate(b"leave\n")

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def test_the_next_of_a_client_takes_the_seat_of_a_killed_one(tmp_path: Path) -> None:
    first = Sitter(tmp_path, "a1")
    first.kill()
    second = Sitter(tmp_path, "b2")
    second.kill()
    third = Sitter(tmp_path, "c3")

    assert (first.name, second.name, third.name) == ("a1", "a1", "a1")
    third.leave()
    assert not _left(tmp_path)


def test_who_ended_in_order_has_no_successor(tmp_path: Path) -> None:
    Sitter(tmp_path, "a1").leave()

    second = Sitter(tmp_path, "b2")

    assert second.name == "b2"
    second.leave()


def test_who_still_sits_is_not_succeeded(tmp_path: Path) -> None:
    first = Sitter(tmp_path, "a1")
    second = Sitter(tmp_path, "b2")

    assert second.name == "b2"
    first.leave()
    second.leave()


def test_with_two_seats_left_nobody_guesses_whose_they_are(tmp_path: Path) -> None:
    sitters = [Sitter(tmp_path, name) for name in ("a1", "b2")]
    for sitter in sitters:
        sitter.kill()

    later = [Sitter(tmp_path, name) for name in ("c3", "d4")]

    assert [sitter.name for sitter in later] == ["c3", "d4"]
    for sitter in later:
        sitter.leave()


def test_another_client_does_not_take_the_seat_and_clears_those_of_the_gone(tmp_path: Path) -> None:
    mine = Sitter(tmp_path, "a1")
    mine.kill()
    stranger = "import sys, subprocess; print(subprocess.run(sys.argv[1:], input='x', text=True, check=True))"
    for name in ("b2", "c3"):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), name]
        # Each has a client of its own for a parent, which ends with it; none says "leave".
        done = subprocess.run(
            [sys.executable, "-c", stranger, *command], check=True, capture_output=True, text=True
        ).stdout
        assert name in done

    assert len(_left(tmp_path)) == 2, "mine, and the last stranger's, whose client is gone only now"
    next_of_mine = Sitter(tmp_path, "d4")
    assert next_of_mine.name == "a1"
    assert len(_left(tmp_path)) == 1
    next_of_mine.leave()


@pytest.mark.parametrize("junk", ["", "no name at all: " + "x" * 99, "\xff"])
def test_what_is_no_seat_is_passed_over(tmp_path: Path, junk: str) -> None:
    folder = tmp_path / "gatewright" / SEATS_FOLDER
    folder.mkdir(parents=True)
    (folder / "nonsense").write_text(junk)
    (folder / "..-..").write_text(junk)
    own = seats._start_of(str(os.getppid()))
    (folder / f"{own}-a1").write_bytes(b"\xff" if junk else b"")

    seat = take_seat(str(tmp_path), "b2")

    assert seat.name == "b2"


def test_a_bridge_does_without_where_no_seat_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gatewright").write_text("a file where the folder should be")
    full = take_seat(str(tmp_path), "a1")
    monkeypatch.setattr(seats, "_start_of", lambda _: None)
    unknown = take_seat(str(tmp_path), "b2")

    assert (full.name, unknown.name) == ("a1", "b2")
    Seat("c3").leave()


def test_a_process_is_known_by_its_start_and_not_by_its_number_alone() -> None:
    mine, parents = (seats._start_of(str(process)) for process in (os.getpid(), os.getppid()))

    assert mine is not None
    assert parents is not None
    assert int(mine.partition("-")[2]) > int(parents.partition("-")[2])
    assert seats._start_of("no number") is None


def _left(common_dir: Path) -> list[str]:
    return sorted(place.name for place in (common_dir / "gatewright" / SEATS_FOLDER).iterdir())
