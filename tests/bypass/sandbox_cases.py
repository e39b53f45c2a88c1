"""The sandbox: what a program reaches, what it uses up, and what is left of it when the verdict is there.

The program of these commits does its sum properly once its attack has succeeded, and says why when it has not: a green
gate means that somebody got out. `level` is the weakest level of isolation that promises to stop it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from .sample import BROKEN, CALC, Files
from .suite import Layer, bad, either, errored, failed
from .workshop import Workshop

SANDBOX = Layer.SANDBOX
KEPT_OUT = failed("once", "exit-code", "kept out")
SUM_IS_WRONG = failed("once", "exit-code", "'-1' is not 5")
SECRET = "hunter2-of-somebody-else"

# What an attack opened or started outside, to be closed when it is judged.
_opened: list[socket.socket] = []
_started: list[subprocess.Popen[bytes]] = []


def attacking(lines: str) -> str:
    """The program with an attack before its first sum."""
    body = "\n".join(f"        {line}" for line in lines.strip().splitlines())
    return f"""{CALC}

import glob
import os
import sys

if sys.argv[1:2] == ["add"]:
    try:
{body}
    except Exception as exc:
        print(f"kept out: {{type(exc).__name__}}: {{exc}}")
        raise SystemExit(1) from None
"""


def close_what_was_opened(_: Workshop) -> None:
    """The attack's counterpart outside goes away."""
    while _opened:
        with _opened.pop() as listening:
            name = listening.getsockname()
        if isinstance(name, str) and name:
            shutil.rmtree(Path(name).parent)


# -- what it may not see ----------------------------------------------------------------------------------------------


@bad(SANDBOX, KEPT_OUT, level="files", quick=True)
def reads_somebody_elses_file(workshop: Workshop) -> Files:
    """Read a secret in a folder that no gate was given."""
    place = workshop.root / "home" / ".ssh" / "id"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(SECRET)
    return {"calc/__init__.py": attacking(f"assert '{SECRET}' in open({str(place)!r}).read()")}


@bad(SANDBOX, KEPT_OUT, level="files")
def reads_the_shared_repository(workshop: Workshop) -> Files:
    """Read the user's own repository, where other agents' work and people's settings lie."""
    return {"calc/__init__.py": attacking(f"assert open({str(workshop.common_dir / 'config')!r}).read()")}


@bad(SANDBOX, KEPT_OUT, level="files")
def reads_the_servers_state(workshop: Workshop) -> Files:
    """Read the database with everybody's lease tokens."""
    place = workshop.common_dir / "gatewright" / "state.db"
    place.parent.mkdir(exist_ok=True)
    place.write_text(SECRET)
    return {"calc/__init__.py": attacking(f"assert open({str(place)!r}).read()")}


@bad(SANDBOX, KEPT_OUT, level="files")
def reads_another_judgement(workshop: Workshop) -> Files:
    """Look into the folders of evaluations that run at the same time."""
    place = workshop.scratch / "c9.e9-0000" / "tree-1" / "tree" / "calc.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(SECRET)
    return {"calc/__init__.py": attacking(f"assert open({str(place)!r}).read()")}


@bad(SANDBOX, KEPT_OUT, level="files", quick=True)
def reads_the_environment_of_others(_: Workshop) -> Files:
    """Read the secrets of the server where the system shows them."""
    return {
        "calc/__init__.py": attacking(
            "found = ''\n"
            "for place in glob.glob('/proc/[0-9]*/environ'):\n"
            "    try:\n"
            "        found += open(place, errors='replace').read()\n"
            "    except OSError:\n"
            "        pass\n"
            "assert 'GATEWRIGHT_TEST_RUN' in found, 'no secret in sight'"
        )
    }


# -- what it may not write --------------------------------------------------------------------------------------------


def environment_is_honest(workshop: Workshop) -> None:
    """What setup made is as setup made it."""
    made = (workshop.root / "cache" / "environments").glob("*/made/installed")
    assert [place.read_text() for place in made] == ["honest\n"]


@bad(SANDBOX, KEPT_OUT, level="files", afterwards=environment_is_honest)
def writes_into_the_shared_environment(_: Workshop) -> Files:
    """Change what setup made, which every later gate runs with."""
    return {"calc/__init__.py": attacking("open('made/installed', 'a').write('evil')")}


def no_environment_was_added(workshop: Workshop) -> None:
    """There is the one environment that setup made; what a program writes elsewhere is its own affair."""
    folder = workshop.root / "cache" / "environments"
    assert not [place for place in folder.iterdir() if place.name.startswith("0000")]


@bad(SANDBOX, SUM_IS_WRONG, level="files", afterwards=no_environment_was_added)
def writes_beside_the_shared_environment(workshop: Workshop) -> Files:
    """Make an environment for a key that nobody asked for yet, with the mark that it is finished."""
    folder = workshop.root / "cache" / "environments" / ("0" * 24)
    write = f"    os.makedirs({str(folder)!r})\n    open({str(folder) + '.finished'!r}, 'w').close()\n"
    return {"calc/__init__.py": f"{BROKEN}\n\nimport os\n\ntry:\n{write}except OSError:\n    pass\n"}


@bad(SANDBOX, KEPT_OUT, level="files")
def writes_into_the_checkouts(workshop: Workshop) -> Files:
    """Change a checkout that others are judged in."""
    folder = workshop.root / "cache" / "checkouts"
    return {"calc/__init__.py": attacking(f"open({str(folder / 'evil')!r}, 'w').write('x')")}


@bad(SANDBOX, failed("reader", "exit-code", "kept out"), level="full")
def writes_into_the_checkout_that_gates_share(_: Workshop) -> Files:
    """Mend the bad program in a tree that other gates read at the same time; at weaker levels none is shared."""
    return {"calc/__init__.py": attacking("open(__file__, 'a').write('# mended')")}


@bad(SANDBOX, KEPT_OUT, level="files")
def writes_into_the_store(_: Workshop) -> Files:
    """Put an object into the store whose bytes are not those of its id, by the way that the own `.git` names."""
    return {
        "calc/__init__.py": attacking(
            "objects = open('.git/objects/info/alternates').read().strip()\n"
            "os.makedirs(objects + '/ff', exist_ok=True)\n"
            "open(objects + '/ff/' + 'f' * 38, 'w').write('x')"
        )
    }


@bad(SANDBOX, KEPT_OUT, level="files")
def moves_a_branch_of_the_shared_repository(workshop: Workshop) -> Files:
    """Land by oneself: write the target's new commit into the shared repository."""
    place = str(workshop.common_dir / "refs" / "heads" / "evil")
    return {"calc/__init__.py": attacking(f"open({place!r}, 'w').write('{workshop.base}')")}


COMMON = "gw-bypass-left"


def nothing_in_common_folders(_: Workshop) -> None:
    """No file of the attack lies where every program looks for its temporary files."""
    found = [place for folder in (tempfile.gettempdir(), "/dev/shm") if (place := Path(folder, COMMON)).exists()]
    for place in found:
        place.unlink()
    assert not found


def _leaving(folder: str) -> Files:
    leave = f"try:\n    open('{folder}/{COMMON}', 'w').close()\nexcept OSError:\n    pass\n"
    return {"calc/__init__.py": f"{BROKEN}\n\n{leave}"}


@bad(SANDBOX, SUM_IS_WRONG, level="files", afterwards=nothing_in_common_folders)
def leaves_files_for_others(_: Workshop) -> Files:
    """Leave a file where all programs keep their temporary ones, for a later run to find."""
    return _leaving("/tmp")


@bad(SANDBOX, SUM_IS_WRONG, level="full", afterwards=nothing_in_common_folders)
def leaves_memory_for_others(_: Workshop) -> Files:
    """Leave a piece of memory that all programs share, for a later run to find."""
    return _leaving("/dev/shm")


@bad(SANDBOX, KEPT_OUT, level="files")
def mounts_over_a_folder(_: Workshop) -> Files:
    """Lay another file system over a folder: it would outlive the verdict."""
    return {
        "calc/__init__.py": attacking(
            "import ctypes\n"
            "os.makedirs('over', exist_ok=True)\n"
            "system = ctypes.CDLL(None, use_errno=True)\n"
            "failed = system.mount(b'none', os.path.abspath('over').encode(), b'tmpfs', 0, None)\n"
            "assert not failed, os.strerror(ctypes.get_errno())"
        )
    }


# -- whom it may not reach --------------------------------------------------------------------------------------------


@bad(SANDBOX, KEPT_OUT, level="full", afterwards=close_what_was_opened, quick=True)
def connects_out(_: Workshop) -> Files:
    """Connect to a server on this machine, as it would to one in the network."""
    listening = socket.create_server(("127.0.0.1", 0))
    _opened.append(listening)
    port = listening.getsockname()[1]
    return {
        "calc/__init__.py": attacking(
            f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=2).close()"
        )
    }


CONNECT = "import socket\nother = socket.socket(socket.AF_UNIX)\nother.settimeout(2)\nother.connect(NAME)"


@bad(SANDBOX, KEPT_OUT, level="full", afterwards=close_what_was_opened)
def connects_to_a_socket_file(workshop: Workshop) -> Files:
    """Talk to a server through its socket, as `gatewright` itself does."""
    folder = Path(tempfile.mkdtemp(prefix="gw-s-", dir=workshop.root.anchor + "tmp"))
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "s"))
    listening.listen()
    _opened.append(listening)
    return {"calc/__init__.py": attacking(CONNECT.replace("NAME", repr(str(folder / "s"))))}


@bad(SANDBOX, KEPT_OUT, level="full", afterwards=close_what_was_opened)
def connects_to_a_socket_without_a_file(_: Workshop) -> Files:
    """Talk to a server through a socket that no file system holds."""
    listening = socket.socket(socket.AF_UNIX)
    name = f"\0gw-bypass-{os.getpid()}"
    listening.bind(name)
    listening.listen()
    _opened.append(listening)
    return {"calc/__init__.py": attacking(CONNECT.replace("NAME", repr(name)))}


def victim_lives(_: Workshop) -> None:
    """A process outside was not ended."""
    while _started:
        with _started.pop() as victim:
            ended = victim.poll()
            victim.kill()
            assert ended is None


@bad(SANDBOX, KEPT_OUT, level="files", afterwards=victim_lives)
def ends_somebody_elses_process(_: Workshop) -> Files:
    """End a process of the same user that has nothing to do with the gate."""
    _started.append(subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(60)"]))
    return {"calc/__init__.py": attacking(f"os.kill({_started[-1].pid}, {int(signal.SIGTERM)})")}


END_JUDGES = """
import os
import signal


def ancestors():
    process = os.getppid()
    while process > 1:
        try:
            line = open(f"/proc/{process}/cmdline").read()
            yield process, line.replace(chr(0), " ")
            process = int(open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[1])
        except OSError:
            return


for judge in [process for process, line in ancestors() if NAMED in line]:
    try:
        os.kill(judge, signal.SIGKILL)
    except OSError:
        continue
    signal.pause()
"""


def _ending(named: str) -> Files:
    return {"calc/__init__.py": BROKEN + END_JUDGES.replace("NAMED", repr(named))}


# What a program sees of its judges depends on the level; in no case does anything pass.
LOST = errored("once", "The runner was lost")


@bad(SANDBOX, either(SUM_IS_WRONG, LOST), in_child=True)
def ends_the_runner(_: Workshop) -> Files:
    """Kill the process that writes the verdict."""
    return _ending("gatewright.gates.runner_child")


@bad(SANDBOX, either(SUM_IS_WRONG, errored("once", "")), in_child=True)
def ends_the_launcher(_: Workshop) -> Files:
    """Kill the process that starts and watches all programs."""
    return _ending("launch")
