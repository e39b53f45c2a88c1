"""Kills, stops, cuts, restarts, fills and declines, drawn from the seed; faults that last overlap."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..chaos.crew import Seeded
from ..chaos.world import Role
from .network import Cut
from .programs import Service, kill, signal_to
from .site import DATABASE, HOSTS, REMOTE, SERVERS, WORKERS, Site

PAUSE_S = 0.8
FAULT_S = (0.5, 5.0)
# Longer than it takes until others adopt what a worker runs, now and then.
STOPPED_S = (2.0, 14.0)
CUT_S = (1.0, 12.0)
FORGETS_OF_ALL = 0.15
FILL_BYTES = 1_000_000
DECLINE = "echo 'Nothing is taken today.' >&2; exit 1"


class TeamSaboteur(Seeded):
    """`done` counts what was done to whom."""

    def __init__(self, site: Site, seed: str) -> None:
        super().__init__("saboteur", seed, PAUSE_S)
        self.done: Counter[str] = Counter()
        self._site = site
        self._healing: list[tuple[float, Callable[[], None]]] = []
        self._deeds: dict[Callable[[], bool], int] = {
            self._kill_server: 10,
            self._kill_worker: 12,
            self._stop_worker: 10,
            self._stop_server: 4,
            self._cut: 24,
            self._restart_database: 4,
            self._end_daemon: 4,
            self._fill: 5,
            self._decline: 6,
            self._kill_agent: 6,
            self._kill_runner: 8,
        }

    def act(self) -> None:
        self._heal(time.monotonic())
        deeds, weights = [*self._deeds], [*self._deeds.values()]
        (deed,) = self.random.choices(deeds, weights)
        deed()

    def stop(self) -> None:
        super().stop()
        self._heal(float("inf"))

    def _heal(self, now: float) -> None:
        due = [heal for when, heal in self._healing if when <= now]
        self._healing = [(when, heal) for when, heal in self._healing if when > now]
        for heal in due:
            heal()

    def _later(self, heal: Callable[[], None], within_s: tuple[float, float]) -> None:
        self._healing.append((time.monotonic() + self.random.uniform(*within_s), heal))

    def _one_of(self, names: tuple[str, ...]) -> Service:
        return self._site.services[self.random.choice(names)]

    def _kill_server(self) -> bool:
        return self._kill(self._one_of(SERVERS), "server killed")

    def _kill_worker(self) -> bool:
        return self._kill(self._one_of(WORKERS), "worker killed")

    def _kill(self, service: Service, what: str) -> bool:
        """Its folder is a cache: now and then it is lost as well."""
        forgets = self.random.random() < FORGETS_OF_ALL
        service.not_before = time.monotonic() + self.random.uniform(*FAULT_S)
        if not kill(service):
            return False
        self.done[what] += 1
        if forgets and service.folder is not None and service.process is not None:
            service.process.wait()
            with suppress(OSError):
                service.folder.rename(self._site.root / "tmp" / f"lost-{time.monotonic_ns()}")
                self.done["folder lost"] += 1
        return True

    def _stop_worker(self) -> bool:
        return self._suspend(self._one_of(WORKERS), "worker stopped and continued")

    def _stop_server(self) -> bool:
        return self._suspend(self._one_of(SERVERS), "server stopped and continued")

    def _suspend(self, service: Service, what: str) -> bool:
        if not signal_to(service, signal.SIGSTOP):
            return False
        process = service.process

        def go_on() -> None:
            if process is not None and service.process is process:
                signal_to(service, signal.SIGCONT)

        self._later(go_on, STOPPED_S)
        self.done[what] += 1
        return True

    def _cut(self) -> bool:
        """Any two; half of the time one of them is what everybody needs."""
        one = self.random.choice((DATABASE, REMOTE)) if self.random.random() < 0.5 else self.random.choice(HOSTS)
        other = self.random.choice([name for name in HOSTS if name != one])
        how = self.random.choice((Cut.SILENT, Cut.TOLD))
        if not self._site.network.cut(one, other, how):
            return False
        self._later(lambda: self._site.network.heal(one, other), CUT_S)
        self.done[f"link cut ({'silently' if how is Cut.SILENT else 'with notice'})"] += 1
        return True

    def _restart_database(self) -> bool:
        how = self.random.choice((signal.SIGQUIT, signal.SIGINT))
        self._site.database.stop(how)
        self.over.wait(self.random.uniform(0.0, 4.0))
        self._site.database.start()
        self.done["PostgreSQL restarted"] += 1
        return True

    def _end_daemon(self) -> bool:
        return self._kill(self._site.services[REMOTE], "git remote killed")

    def _fill(self) -> bool:
        filler = self._site.disk / "filler"
        if filler.exists():
            return False
        for size in (FILL_BYTES, 1):
            with suppress(OSError), filler.open("ab", buffering=0) as file:
                while True:
                    file.write(b"x" * size)
        self._later(lambda: filler.unlink(missing_ok=True), FAULT_S)
        self.done["remote's disk filled"] += 1
        return True

    def _decline(self) -> bool:
        if (self._site.project / "hooks" / "pre-receive").is_symlink():
            return False
        self._site.hook(DECLINE)
        self._later(lambda: self._site.hook(None), FAULT_S)
        self.done["pushes declined"] += 1
        return True

    def _kill_agent(self) -> bool:
        return self._kill_one("tests.team_chaos.agent", "agent killed")

    def _kill_runner(self) -> bool:
        found = [process for process in self._site.processes() if process.role is Role.RUNNER and _has_job(process.pid)]
        is_done = bool(found) and self._site.kill(self.random.choice(found))
        self.done["gate's runner killed"] += is_done
        return is_done

    def _kill_one(self, word: str, what: str) -> bool:
        found = [process for process in self._site.processes() if word in process.command]
        is_done = bool(found) and self._site.kill(self.random.choice(found))
        self.done[what] += is_done
        return is_done


def _has_job(runner: int) -> bool:
    """Whether a runner has been given its conversation; the one that was forked ahead is still waiting for it."""
    try:
        return str(Path("/proc", str(runner), "fd", "0").readlink()).startswith("socket:")
    except OSError:
        return False
