"""Hosts as network namespaces, each on a network of its own behind a router, which drops what goes over a cut link.

The router is the namespace of whoever makes them. No link of it is ever cut: it is the one who looks after the rest.
"""

import subprocess
import threading
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

NAMES = Path("/run/netns")
PRIORITY = "100"


class Cut(StrEnum):
    """How a link is cut: packets vanish, or the router says that there is no way."""

    SILENT = "blackhole"
    TOLD = "unreachable"


class Network:
    """`address_of[name]` is where a host is."""

    def __init__(self, names: Sequence[str]) -> None:
        self.address_of = {name: f"10.77.{number}.2" for number, name in enumerate(names, start=1)}
        self._lock = threading.Lock()
        self._cuts: dict[frozenset[str], Cut] = {}

    def make(self) -> None:
        """Make every host."""
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for number, name in enumerate(self.address_of, start=1):
            near, far = f"10.77.{number}.1", f"10.77.{number}.2"
            _ip("netns", "add", name)
            _ip("link", "add", f"host{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("address", "add", f"{near}/24", "dev", f"host{number}")
            _ip("link", "set", f"host{number}", "up")
            _ip("-n", name, "address", "add", f"{far}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", name, "link", "set", device, "up")
            _ip("-n", name, "route", "add", "default", "via", near)

    def on(self, name: str, command: Sequence[str]) -> list[str]:
        """The command, run on that host; its process is the command's own."""
        return ["nsenter", f"--net={NAMES / name}", "--", *command]

    def cut(self, one: str, other: str, how: Cut) -> bool:
        """Cut the link between two hosts in both directions; False when it is cut already."""
        with self._lock:
            if frozenset((one, other)) in self._cuts:
                return False
            self._cuts[frozenset((one, other))] = how
            self._rule("add", one, other, how)
            self._rule("add", other, one, how)
            return True

    def heal(self, one: str, other: str) -> None:
        """Undo that."""
        with self._lock:
            if (how := self._cuts.pop(frozenset((one, other)), None)) is not None:
                self._rule("del", one, other, how)
                self._rule("del", other, one, how)

    def _rule(self, verb: str, one: str, other: str, how: Cut) -> None:
        near, far = self.address_of[one], self.address_of[other]
        _ip("rule", verb, "from", near, "to", far, "priority", PRIORITY, how)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)
