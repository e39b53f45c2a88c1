"""`gatewright people`: who is registered to decide, each with a secret that only they know.

The first one is trusted on first use, at a terminal; every further change is vouched for by the secret of somebody who
is registered.
"""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from ...schemas import refusals
from ...schemas.refusals import Refused
from .asking import authenticate, confirm_by_typing, require_person
from .command import CannotGoOn, Exit
from .opening import services_of
from .secret_prompt import read_secret
from .terminal import Terminal

if TYPE_CHECKING:
    from ..people.hashing import Hashed
    from ..services import Services


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("verb", metavar="VERB", choices=("add", "list", "remove"), help="add, list or remove")
    parser.add_argument("name", metavar="NAME", nargs="?", help="whom: a-z, then a-z 0-9 . _ -")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Do what the verb says."""
    if options.verb == "list":
        return _list(options, terminal)
    name = _checked_name(options.name)
    require_person(terminal, f"gatewright people {options.verb} {name}")
    with services_of(options) as services:
        if options.verb == "add":
            _add(services, name, terminal)
        else:
            _remove(services, name, terminal)
    return Exit.OK


def _list(options: Namespace, terminal: Terminal) -> int:
    from ..people.register import read_people

    with services_of(options) as services:
        people = services.store.read(read_people)
    if not people:
        terminal.say("Nobody is registered: whoever sits at a terminal decides, and nobody can approve.")
        return Exit.OK
    rows = [(person.name, person.added_at[:10], person.added_by) for person in people.values()]
    terminal.table(("NAME", "SINCE", "VOUCHED FOR BY"), rows)
    return Exit.OK


def _add(services: "Services", name: str, terminal: Terminal) -> None:
    from ..people.known import Proof
    from ..people.register import add_person

    _say_first(services, name, terminal)
    what = f"register {name}"
    first = f"{what} (nobody is there yet whose secret could vouch for it)"
    vouching = authenticate(terminal, services, what, otherwise=lambda: confirm_by_typing(terminal, name, first))
    secret = _new_secret(name)
    vouched = vouching if vouching.proof is Proof.SECRET else None
    services.store.run(lambda tx: add_person(tx, name, secret, vouched=vouched, now=services.clock()))
    terminal.say(f"{name} is registered and says so by that secret from now on.", "green")


def _remove(services: "Services", name: str, terminal: Terminal) -> None:
    from ..people.register import get_person, read_people, remove_person

    get_person(services.store.read(read_people), name)
    what = f"strike {name} off"
    by = authenticate(terminal, services, what, otherwise=lambda: None)
    confirm_by_typing(terminal, name, what)
    services.store.run(lambda tx: remove_person(tx, name, by=by, now=services.clock()))
    terminal.say(f"{name} is registered no more; what they decided stands.", "green")
    if not services.store.read(read_people):
        terminal.say("Nobody is registered now: whoever sits at a terminal decides.", "yellow")


def _say_first(services: "Services", name: str, terminal: Terminal) -> None:
    from ..people.register import read_people

    people = services.store.read(read_people)
    if name in people:
        raise Refused(refusals.bad_argument(f"'{name}' is registered already"))
    if not people:
        first = "Nobody is registered yet. The first one is trusted on first use: whoever sits here is believed."
        terminal.say(first, "yellow")
        terminal.say("From then on people say who they are, and a registered one vouches for the next.", "yellow")


def _new_secret(name: str) -> "Hashed":
    """A secret typed twice; raises `CannotGoOn` when it will not do."""
    from ..people.hashing import complaint_about, hashed

    secret = read_secret(f"New secret of {name}:")
    complaint = complaint_about(secret)
    if complaint is None and read_secret(f"New secret of {name}, once more:") != secret:
        complaint = "The two are not the same."
    if complaint is not None:
        raise CannotGoOn(f"{complaint} Nobody was registered.", "Run the command again.", code="bad_secret")
    return hashed(secret)


def _checked_name(name: str | None) -> str:
    from ..people.register import NAME

    if name is None or not NAME.fullmatch(name):
        raise Refused(refusals.bad_argument("a person has a name of a-z, 0-9, '.', '_' and '-', at most 32 long"))
    return name
