"""Ask a person, and only a person, and know who it is.

Where people are registered, a person says who they are and proves it by their secret; where nobody is, what decides is
typed at a terminal, word by word, and recorded as such. There is no flag that skips it. What somebody who runs as the
same user can do all the same stands in docs/people.md.
"""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from ...schemas import refusals
from ...schemas.refusals import Refusal, Refused
from ..people.known import Person, Proof
from .command import CannotGoOn
from .opening import user_name
from .secret_prompt import read_secret
from .terminal import Terminal

if TYPE_CHECKING:
    from ..store import Store


class Register(Protocol):
    """What knowing a person needs: where people are registered, and the time."""

    @property
    def store(self) -> "Store": ...

    @property
    def clock(self) -> Callable[[], datetime]: ...


def add_key(parser: ArgumentParser) -> None:
    """Declare `--key`."""
    text = "any text of yours: the same command under the same key has one effect, however often it is given"
    parser.add_argument("--key", metavar="KEY", type=plain, help=text)


def plain(text: str) -> str:
    """An argument that is kept: its bytes were text. For argparse."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentTypeError("is not UTF-8 text") from None
    return text


def require_person(terminal: Terminal, command: str) -> None:
    """Raise `Refused` (not_allowed) unless a terminal is at both ends."""
    if not terminal.is_interactive:
        raise Refused(refusals.people_alone(command))


def authenticate(terminal: Terminal, services: Register, what: str, *, otherwise: Callable[[], None]) -> Person:
    """The person at the terminal: registered and known by their secret; or, where nobody is registered, whoever it is.

    `what` ends the sentence "say who you are, to ..."; `otherwise` has it confirmed where nobody is registered. Raises
    `Refused` and `CannotGoOn`, and then nothing was decided.
    """
    from ..people.register import read_people, require_still_known

    people = services.store.read(read_people)
    if not people:
        otherwise()
        person = Person(user_name(), Proof.WORD)
        # A prompt may have waited for days, and somebody may be registered since.
        services.store.read(lambda tx: require_still_known(tx, person, services.clock()))
        return person
    name = terminal.ask(f"Say who you are, to {what} ({', '.join(people)}):")
    return prove(services, name)


def prove(services: Register, name: str) -> Person:
    """The person of this name, who types their secret; raises `Refused`, and a wrong one slows the next guess down."""
    from ..people.hashing import is_secret
    from ..people.register import begin_guess, end_guess, get_person, read_people

    get_person(services.store.read(read_people), name)
    guess = read_secret(f"Secret of {name}:")
    kept = services.store.run(lambda tx: begin_guess(tx, name, services.clock()))
    if isinstance(kept, Refusal):
        raise Refused(kept)
    if not is_secret(guess, kept):
        raise Refused(refusals.secret_wrong())
    services.store.run(lambda tx: end_guess(tx, name, kept))
    return Person(name, Proof.SECRET, secret=kept)


def confirm_by_typing(terminal: Terminal, word: str, what: str) -> None:
    """Have the person type `word`; raises `CannotGoOn` for anything else, and nothing was decided."""
    typed = terminal.ask(f"Type {word} to {what}:")
    if typed != word:
        raise CannotGoOn("Nothing was decided.", "Run the command again when you are sure.", code="not_confirmed")


def confirm(terminal: Terminal, question: str) -> None:
    """Ask y/N; raises `CannotGoOn` unless it is yes."""
    if not terminal.confirm(question):
        raise CannotGoOn("Nothing was decided.", "Run the command again when you are sure.", code="not_confirmed")
