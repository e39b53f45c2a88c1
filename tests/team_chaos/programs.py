"""Programs that run on hosts, and what is done to them."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..postgres import Cluster


@dataclass
class Database(Cluster):
    """A server of PostgreSQL on a host. It ends with the enclosure, and not with a thread of ours."""

    enter: Sequence[str] = ()

    def make(self) -> None:
        super().make()
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.write("host all all 10.77.0.0/16 trust\n")

    def _as_other_user(self, command: list[str]) -> list[str]:
        whole = super()._as_other_user(command)
        return [*self.enter, *(word for word in whole if not word.startswith("--pdeathsig"))]


@dataclass
class Service:
    """One program that somebody starts again whenever it ends."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    folder: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None
    not_before: float = 0.0
    ends: Counter[int] = field(default_factory=Counter)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


def kill(service: Service) -> bool:
    """As kill -9 does; a stopped one as well. False when it does not run."""
    return signal_to(service, signal.SIGKILL)


def signal_to(service: Service, number: signal.Signals) -> bool:
    """Whether it could be sent."""
    process = service.process
    if process is None or process.poll() is not None:
        return False
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)
        return True
    return False
