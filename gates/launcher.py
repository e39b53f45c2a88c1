"""The launcher: starts a supervisor per program, and clears up after a supervisor that was killed.

    runner --channel--> launcher --fork--> supervisor --fork, exec--> the program and its descendants

One launcher serves a runner. It is started once and stays small and single-threaded, so that forking it is cheap and
safe, and its environment is empty, so that `/proc` shows a program none of the runner's. The runner sends one byte and
four descriptors (control, standard input, output, error) over the channel for each program.

A program can kill its supervisor, for both have the same user. Its orphans then fall to the launcher, which kills
every child that is no supervisor, and only then lets the runner see the end of the control socket.
"""

import gc
import os
import select
import socket
import time

from .descendants import KILL_PAUSE_S, KILL_TIME_S, adopt_orphans, children_of, kill_trees
from .supervisor import drain, listen_for_children, supervise

DESCRIPTORS = 4


def launch_forever() -> None:
    """Serve the channel on standard input until the runner closes it and the last supervisor has ended."""
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    # A collection in a supervisor would touch, and so copy, every page that it shares with this process.
    gc.disable()
    gc.freeze()
    adopt_orphans()
    wakeups = listen_for_children()
    supervisors: dict[int, socket.socket] = {}
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    poller.register(wakeups, select.POLLIN)
    is_open = True
    while is_open or supervisors:
        ready = dict(poller.poll())
        if wakeups in ready:
            drain(wakeups)
            _let_go(supervisors)
        if channel.fileno() in ready and not _launch(channel, supervisors):
            poller.unregister(channel)
            is_open = False


def _launch(channel: socket.socket, supervisors: dict[int, socket.socket]) -> bool:
    message, descriptors, _flags, _address = socket.recv_fds(channel, 1, DESCRIPTORS)
    if not message:
        return False
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    try:
        # Fewer arrive when this process has too many open: the runner then sees its socket end without a word.
        if len(descriptors) == DESCRIPTORS:
            _fork_supervisor(channel, descriptors, supervisors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return True


def _fork_supervisor(channel: socket.socket, descriptors: list[int], supervisors: dict[int, socket.socket]) -> None:
    try:
        pid = os.fork()
    except OSError:
        return
    if pid == 0:
        try:
            channel.close()
            # A copy held here would keep another program's runner waiting for the end of its control socket.
            for other in supervisors.values():
                other.close()
            supervise(socket.socket(fileno=descriptors[0]), descriptors[1:])
        finally:
            os._exit(0)
    supervisors[pid] = socket.socket(fileno=os.dup(descriptors[0]))


def _let_go(supervisors: dict[int, socket.socket]) -> None:
    """Reap; close the control sockets of dead supervisors once none of their orphans is left."""
    ended = [pid for pid in supervisors if _has_ended(pid)]
    until = time.monotonic() + KILL_TIME_S
    while (strays := set(children_of(os.getpid())) - supervisors.keys()) and time.monotonic() < until:
        kill_trees(strays)
        time.sleep(KILL_PAUSE_S)
        for pid in strays:
            _has_ended(pid)
    for pid in ended:
        supervisors.pop(pid).close()


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
