"""Agents on hosts of their own; in the calm others live there."""

import sys
from collections.abc import Sequence

from ..chaos.crew import Crew
from .site import AGENTS, Site


class TeamCrew(Crew):
    """Each is a process on a host, with a token of its own."""

    def __init__(self, site: Site, seed: str, names: Sequence[str], mood: str) -> None:
        super().__init__(site, seed, names, mood)
        self._site = site
        self._host_of = dict(zip(names, AGENTS, strict=False))

    def _command(self, name: str, age: int) -> list[str]:
        life = [str(self._site.root), name, str(age), self._seed, self._mood]
        token = f"GATEWRIGHT_TOKEN={self._site.tokens[name]}"
        command = ["env", token, sys.executable, "-m", "tests.team_chaos.agent", *life]
        return self._site.network.on(self._host_of[name], command)
