"""What people decide, as their commands do: by the operations, over a database that may not be there."""

from functools import partial

import anyio

from gatewright.gates.machine.commands import Answer
from gatewright.gates.remote.problems import RemoteProblem
from gatewright.schemas.refusals import Refusal, Refused
from gatewright.server.composition import open_team_services
from gatewright.server.operations import changes, people
from gatewright.server.operations.answering import answer, find_asked
from gatewright.server.people.known import Person as Known
from gatewright.server.people.known import Proof
from gatewright.server.services import Services
from gatewright.server.store import StoreUnavailable, open_database

from ..chaos.person import Person
from .site import Site

ANN = Known("ann", Proof.WORD)
REASON = "I thought again."


class TeamPerson(Person):
    """A person at a machine of their own, from which no link is ever cut."""

    def __init__(self, site: Site, seed: str, *, is_calm: bool) -> None:
        super().__init__(site, seed, is_calm=is_calm)
        self._site = site
        self._services: Services | None = None

    def stop(self) -> None:
        super().stop()
        if self._services is not None:
            self._services.store.close()

    def _command(self, *words: object) -> bool:
        verb, change, *rest = map(str, words)
        try:
            self._do(self._open(), verb, change, rest)
        except (Refused, RemoteProblem, StoreUnavailable) as exc:
            self.done[f"{verb} refused"] += 1
            self._note(f"{verb} {change} {rest}: {exc}")
            return False
        self.done[verb] += 1
        return True

    def _open(self) -> Services:
        if self._services is None:
            store = open_database(self._site.database_url())
            self._services = open_team_services(store, self._site.remote_url, self._site.root / "person")
        return self._services

    def _do(self, services: Services, verb: str, change: str, rest: list[str]) -> None:
        stage = rest[0]
        match verb:
            case "cancel":
                anyio.run(partial(changes.cancel, services, change, by=ANN, reason=REASON))
            case "reopen":
                anyio.run(partial(people.reopen, services, change, stage, by=ANN, reason=REASON))
            case "grant-attempts":
                anyio.run(partial(people.grant_attempts, services, change, stage, by=ANN, count=1))
            case "retry-gates":
                anyio.run(partial(people.retry_gates, services, change, stage, by=ANN))
            case _:
                found = services.store.read(lambda tx: find_asked(tx, change, stage, None))
                if isinstance(found, Refusal):
                    raise Refused(found)
                given = Answer(stage, None, True, ANN.by, "Go on.")
                answer(services, change, found, ANN, given, request=None)
