"""Where a person decides: on the store, in this process, or on a team's server, by a token.

Both show the same and decide by the same operations; they differ in how the person is known.
"""

from argparse import Namespace
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from ...schemas import decisions as d
from ...schemas import refusals
from ...schemas.refusals import Refused
from .asking import authenticate, confirm, prove
from .command import UsageError
from .opening import services_of
from .team_server import find_server, told_of_server
from .terminal import Terminal

if TYPE_CHECKING:
    from ..over_http import TeamServer
    from ..people.known import Person
    from ..services import Services

T = TypeVar("T", bound=BaseModel)
S = TypeVar("S")


class Desk(Protocol):
    """What people's commands need. Each method raises `Refused` and `CannotGoOn`."""

    def approval(self, asking: d.Asking) -> d.ApprovalAsked:
        """What is to be approved."""
        ...

    def diff(self, asking: d.Asking) -> str:
        """The whole diff of it."""
        ...

    def question(self, asking: d.Asking) -> d.QuestionAsked:
        """What waits for an answer."""
        ...

    def change(self, asking: d.Asking) -> d.ChangeAsked:
        """The change that something is to be done to."""
        ...

    def why(self, looking: d.Looking) -> d.ChangeWhy:
        """Why nothing moves."""
        ...

    def known(self, what: str, otherwise: Callable[[], None]) -> "Person | None":
        """Who decides; `what` ends "say who you are, to ...", `otherwise` confirms where nobody can be known."""
        ...

    def approver(self, command: str) -> "Person | None":
        """Who approves: somebody who is known."""
        ...

    def decide(self, command: str, decision: d.Decision, person: "Person | None") -> d.Decided:
        """Do it."""
        ...


@contextmanager
def desk_of(options: Namespace, terminal: Terminal) -> Generator[Desk]:
    """On the server that is named, else on the team's store or this repository's."""
    server = find_server(options, terminal)
    if server is not None:
        with told_of_server(server):
            yield ServersDesk(server, terminal)
        return
    with services_of(options) as services:
        yield OwnDesk(services, terminal)


def decision_of(model: type[T], **given: object) -> T:
    """The arguments of a command as a decision; raises `UsageError` for what nothing can be called."""
    try:
        return model.model_validate(given)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = " ".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {first['msg']}") from exc


def shown_or_repeated(show: Callable[[], S], key: str | None) -> S | None:
    """What is shown; None where there is nothing, and by its key it may have been decided before."""
    try:
        return show()
    except Refused:
        if key is None:
            raise
        return None


class OwnDesk:
    """On a store, in this process: a person is known by a secret, or where nobody is registered by nothing."""

    def __init__(self, services: "Services", terminal: Terminal) -> None:
        self._services = services
        self._terminal = terminal

    def approval(self, asking: d.Asking) -> d.ApprovalAsked:
        from ..operations.showing import show_approval

        return show_approval(self._services, asking)

    def diff(self, asking: d.Asking) -> str:
        from ..operations.showing import show_diff

        return show_diff(self._services, asking)

    def question(self, asking: d.Asking) -> d.QuestionAsked:
        from ..operations.showing import show_question

        return show_question(self._services, asking)

    def change(self, asking: d.Asking) -> d.ChangeAsked:
        from ..operations.showing import show_change

        return show_change(self._services, asking)

    def why(self, looking: d.Looking) -> d.ChangeWhy:
        from ..operations.looking import look_why

        return self._services.store.read(lambda tx: look_why(self._services, tx, looking))

    def known(self, what: str, otherwise: Callable[[], None]) -> "Person | None":
        return authenticate(self._terminal, self._services, what, otherwise=otherwise)

    def approver(self, command: str) -> "Person | None":
        from ..people.register import read_people

        people = self._services.store.read(read_people)
        if not people:
            raise Refused(refusals.nobody_registered())
        return prove(self._services, self._terminal.ask(f"Say who you are, to {command} it ({', '.join(people)}):"))

    def decide(self, command: str, decision: d.Decision, person: "Person | None") -> d.Decided:
        import anyio

        from ..operations.deeds import decide

        return anyio.run(partial(decide, self._services, command, decision, person))


class ServersDesk:
    """On a team's server: a person is whom the token was issued to, and confirms that they mean it."""

    def __init__(self, server: "TeamServer", terminal: Terminal) -> None:
        self._server = server
        self._terminal = terminal

    def approval(self, asking: d.Asking) -> d.ApprovalAsked:
        return self._server.ask("asked", asking, d.ApprovalAsked)

    def diff(self, asking: d.Asking) -> str:
        return str(self._server.post("diff", asking).get("diff", ""))

    def question(self, asking: d.Asking) -> d.QuestionAsked:
        return self._server.ask("asked", asking, d.QuestionAsked)

    def change(self, asking: d.Asking) -> d.ChangeAsked:
        return self._server.ask("asked", asking, d.ChangeAsked)

    def why(self, looking: d.Looking) -> d.ChangeWhy:
        return self._server.ask("why", looking, d.ChangeWhy)

    def known(self, what: str, otherwise: Callable[[], None]) -> "Person | None":
        otherwise()
        return None

    def approver(self, command: str) -> "Person | None":
        confirm(self._terminal, f"{command.capitalize()} it?")
        return None

    def decide(self, command: str, decision: d.Decision, person: "Person | None") -> d.Decided:
        return self._server.ask(command, decision, d.Decided)
