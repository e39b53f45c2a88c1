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

from .descendants import KILL_PAUSE_S, KILL_TIME_S, adopt_orphans, children_of, drain, kill_trees
from .supervisor import DESCRIPTORS, await_program, listen_for_children

# Forked at once, the next supervisor would take the processor from the one that has just been given a program.
RESERVE_AFTER_MS = 1


def launch_forever() -> None:
    """Serve the channel on standard input until the runner closes it and the last supervisor has ended."""
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    # A collection in a supervisor would touch, and so copy, every page that it shares with this process.
    gc.disable()
    gc.freeze()
    adopt_orphans()
    _Launcher(channel, listen_for_children()).serve()


class _Launcher:
    """The supervisors at work, by pid with a copy of their control socket, and one in reserve.

    The one in reserve is forked ahead, so that a program need not wait for it.
    """

    def __init__(self, channel: socket.socket, wakeups: int) -> None:
        self._channel = channel
        self._wakeups = wakeups
        self._working: dict[int, socket.socket] = {}
        self._reserve: tuple[int, socket.socket] | None = None

    def serve(self) -> None:
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        poller.register(self._wakeups, select.POLLIN)
        is_open = True
        while is_open or self._working:
            lacks_reserve = is_open and self._reserve is None
            ready = dict(poller.poll(RESERVE_AFTER_MS if lacks_reserve else None))
            if lacks_reserve and not ready:
                self._fork_reserve()
            if self._wakeups in ready:
                drain(self._wakeups)
                self._let_go()
            if self._channel.fileno() in ready and not self._launch():
                poller.unregister(self._channel)
                is_open = False

    def _launch(self) -> bool:
        message, descriptors, _flags, _address = socket.recv_fds(self._channel, 1, DESCRIPTORS)
        if not message:
            return False
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        try:
            # Fewer arrive when this process has too many open: the runner then sees its socket end without a word.
            if len(descriptors) == DESCRIPTORS and not self._hand_over(descriptors):
                self._fork_reserve()
                self._hand_over(descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _hand_over(self, descriptors: list[int]) -> bool:
        """Give the program to the supervisor in reserve; False when there is none, or a program has killed it."""
        if self._reserve is None:
            return False
        pid, post = self._reserve
        self._reserve = None
        with post:
            try:
                socket.send_fds(post, [b"!"], descriptors)
            except OSError:
                return False
        self._working[pid] = socket.socket(fileno=os.dup(descriptors[0]))
        return True

    def _fork_reserve(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:
            # Too many processes: the next program tries again, and is told when that fails too.
            ours.close()
            theirs.close()
            return
        if pid == 0:
            try:
                # A copy held here would keep a runner waiting for the end of its control socket.
                for other in (ours, self._channel, *self._working.values()):
                    other.close()
                await_program(theirs)
            finally:
                os._exit(0)
        theirs.close()
        self._reserve = pid, ours

    def _let_go(self) -> None:
        """Reap; close the control sockets of dead supervisors once none of their orphans is left."""
        ended = [pid for pid in self._working if _has_ended(pid)]
        until = time.monotonic() + KILL_TIME_S
        while (strays := self._strays()) and time.monotonic() < until:
            kill_trees(strays)
            time.sleep(KILL_PAUSE_S)
            for pid in strays:
                _has_ended(pid)
        for pid in ended:
            self._working.pop(pid).close()

    def _strays(self) -> set[int]:
        if self._reserve is not None and _has_ended(self._reserve[0]):
            self._reserve[1].close()
            self._reserve = None
        reserve = {self._reserve[0]} if self._reserve else set()
        return set(children_of(os.getpid())) - self._working.keys() - reserve


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
