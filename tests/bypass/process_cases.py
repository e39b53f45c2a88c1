"""The sandbox: what a program uses up, what is left of it when the verdict is there, and what it does to its judge."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from .sample import BROKEN, CALC, Files
from .sandbox_cases import SANDBOX, SUM_IS_WRONG, attacking
from .suite import bad, errored, failed
from .workshop import Workshop


def nothing_runs_on(workshop: Workshop) -> None:
    """No process of an attack is left; those of another run of this suite have another mark, and work elsewhere."""
    left = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_marked = _mark(workshop).encode() in (place / "cmdline").read_bytes()
            if is_marked or (place / "cwd").readlink().is_relative_to(workshop.scratch):
                left.append(int(place.name))
    for process in left:
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
    assert not left


def _mark(workshop: Workshop) -> str:
    return f"daemon-of-{workshop.root}"


DAEMON = """
import os
import sys


def _stay():
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for descriptor in DESCRIPTORS:
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, "-I", "-c", "import time; time.sleep(120)", MARK])


if sys.argv[1:2] == ["add"]:
    _stay()
"""


def _daemon(workshop: Workshop, *, closed: str = "(0, 1, 2)") -> str:
    return DAEMON.replace("DESCRIPTORS", closed).replace("MARK", repr(_mark(workshop)))


@bad(SANDBOX, SUM_IS_WRONG, afterwards=nothing_runs_on, quick=True)
def leaves_a_daemon(workshop: Workshop) -> Files:
    """Fork twice, leave session and group, ignore signals, and stay."""
    return {"calc/__init__.py": BROKEN + _daemon(workshop)}


@bad(SANDBOX, errored("once", "did not end within"), afterwards=nothing_runs_on)
def leaves_a_daemon_that_keeps_the_pipes(workshop: Workshop) -> Files:
    """Have whoever reads the program's output wait for its daemon."""
    return {"calc/__init__.py": CALC + _daemon(workshop, closed="()")}


@bad(SANDBOX, failed("blackbox", "exit-code", "add 2 3"), afterwards=nothing_runs_on)
def leaves_many_daemons(workshop: Workshop) -> Files:
    """Start them faster than one by one could be ended."""
    return {
        "calc/__init__.py": BROKEN
        + _daemon(workshop).replace("    _stay()", "    for _ in range(12):\n        _stay()")
    }


@bad(SANDBOX, errored("once", "did not end within"), afterwards=nothing_runs_on)
def never_ends(_: Workshop) -> Files:
    """Sleep for ever, deaf to every polite signal."""
    stays = "\n\nimport signal\nimport time\n\nfor number in range(1, 32):\n    try:\n"
    stays += "        signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\n"
    stays += "time.sleep(300)\n"
    return {"calc/__init__.py": CALC + stays}


@bad(SANDBOX, errored("once", "processes"), afterwards=nothing_runs_on)
def multiplies(_: Workshop) -> Files:
    """Start processes until the machine has no more to give; here at most a hundred."""
    bomb = "import os\nimport time\n\nfor _ in range(100):\n    if not os.fork():\n"
    bomb += "        time.sleep(60)\n        os._exit(0)\n    time.sleep(0.01)\n"
    return {"calc/__init__.py": f"{CALC}\n\n{bomb}time.sleep(60)\n"}


@bad(SANDBOX, errored("once", "memory"))
def eats_memory(_: Workshop) -> Files:
    """Take all memory; here at most twice the limit."""
    eat = "import time\n\neaten = [b'x' * 50_000_000 for _ in range(16)]\ntime.sleep(60)\n"
    return {"calc/__init__.py": f"{CALC}\n\n{eat}"}


@bad(SANDBOX, failed("once", "exit-code", "kept out"))
def makes_a_file_without_end(_: Workshop) -> Files:
    """Write a file of three gigabytes, of which the disk here sees none."""
    return {
        "calc/__init__.py": attacking(
            "import signal\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "os.truncate(os.open('big', os.O_CREAT | os.O_RDWR), 3_000_000_000)"
        )
    }


def output_is_bounded(workshop: Workshop) -> None:
    """What is kept of the output is what the policy allows, and has no control characters."""
    commit = (workshop.root / "marks").read_text().split()[1]
    output = workshop.judge(commit, ("once",))["once"].output
    assert len(output.encode()) <= 20_000
    assert "\x1b" not in output


@bad(SANDBOX, SUM_IS_WRONG, afterwards=output_is_bounded)
def floods_the_output(_: Workshop) -> Files:
    """Print sixty million bytes beside the wrong sum, with sequences that clear a terminal."""
    flood = "for _ in range(60):\n    os.write(2, b'\\x1b[2Jx\\n' * 170_000)\n"
    return {"calc/__init__.py": f"{BROKEN}\n\nimport os\n\n{flood}"}


def judged_alike_again(workshop: Workshop) -> None:
    """The next judgement of the same commit sees the same bytes."""
    commit = (workshop.root / "marks").read_text().split()[1]
    assert "'-1' is not 5" in workshop.judge(commit, ("once",))["once"].findings[0].message


@bad(SANDBOX, SUM_IS_WRONG, afterwards=judged_alike_again)
def mends_its_own_files_for_the_next_run(_: Workshop) -> Files:
    """Write the good program over the bad one, so that whoever looks next finds it."""
    mend = "\n\nfrom pathlib import Path\n\n_text = Path(__file__).read_text()\n"
    mend += "Path(__file__).write_text(_text.replace('a - b', 'a + b', 1))\n"
    return {"calc/__init__.py": BROKEN + mend}


@bad(SANDBOX, SUM_IS_WRONG, afterwards=judged_alike_again)
def mends_the_judge_while_it_runs(_: Workshop) -> Files:
    """Write over the gate's own script, and over its git folder."""
    mend = "\n\nfrom pathlib import Path\n\nfor _name in ('ci/once.py', '.git/HEAD', '.git/config'):\n    try:\n"
    mend += "        Path(_name).write_text('')\n    except OSError:\n        pass\n"
    return {"calc/__init__.py": BROKEN + mend}


@bad(SANDBOX, errored("once", "SIGKILL"), afterwards=nothing_runs_on)
def ends_its_own_judge(_: Workshop) -> Files:
    """Kill the script that compares its sums."""
    return {"calc/__init__.py": f"{CALC}\n\nimport os\n\nos.kill(os.getppid(), 9)\n"}


# The judge's memory: what it expects is written over with what it will get.
OVERWRITE = """
import os
import struct
import sys


def _overwrite(process, old, new):
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "r+b", 0) as memory:
        for line in maps:
            place, mode = line.split()[:2]
            if not mode.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
            at = data.find(old + bytes(1))
            while at >= 0:
                if struct.pack("<q", len(old)) in data[max(0, at - 40) : at]:
                    memory.seek(start + at)
                    memory.write(new)
                at = data.find(old + bytes(1), at + 1)


if sys.argv[1:2] == ["add"] and "40" in sys.argv:
    try:
        _overwrite(os.getppid(), b"42", b"38")
    except OSError as exc:
        print(f"kept out: {exc}", file=sys.stderr)
"""


@bad(SANDBOX, failed("blackbox", "exit-code", "add 40 2"), level="full", quick=True)
def writes_into_its_judge(_: Workshop) -> Files:
    """Find the numbers that the judge expects in its memory, and write the wrong ones over them."""
    wrong = CALC.replace("return a + b", "return a - b if a == 40 else a + b")
    return {"calc/__init__.py": wrong + OVERWRITE}
