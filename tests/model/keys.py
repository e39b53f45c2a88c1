"""The same request again, with its key: one effect, whatever crashed in between (I8).

Asked of the real `once` over a table of our own. A crash before the commit takes table and effect back together, one
after it leaves both and loses the reply, and then the client asks again.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, cast

from gatewright.gates.machine.invariants import Broken
from gatewright.schemas.refusals import Refused
from gatewright.server.operations import repeating
from gatewright.server.store import StoredReply

if TYPE_CHECKING:
    from gatewright.server.store.tx import Tx


class Table:
    """What a transaction knows of replies; `effects` counts what was done for good."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], StoredReply] = {}
        self.effects = 0

    def roll_back(self) -> None:
        """Nothing of this was ever there."""
        self.replies.clear()
        self.effects = 0

    def find_reply(self, principal: str, key: str) -> StoredReply | None:
        return self.replies.get((principal, key))

    def add_reply(self, principal: str, key: str, reply: StoredReply, now: datetime) -> None:
        self.replies[principal, key] = reply


def broken_repeat(name: str, now: datetime) -> Iterator[Broken]:
    """What is wrong when a request named `name` is decided, lost in a crash, committed, repeated and abused."""
    table = Table()

    def effect() -> repeating.Reference:
        table.effects += 1
        return {"effect": table.effects}

    def ask(principal: str, what: str) -> repeating.Reference:
        request = repeating.Request(principal, "tool", {"what": what, "wait_s": table.effects}, "key")
        return repeating.once(cast("Tx", table), request, now, effect)

    ask("stdio:ada", name)
    # Killed before the commit: neither the effect nor its key was ever there.
    table.roll_back()
    first = ask("stdio:ada", name)
    # Killed after the commit, before the reply; and once more much later.
    if [ask("stdio:ada", name), ask("stdio:ada", name)] != [first, first] or table.effects != 1:
        yield Broken("I8", f"'{name}' asked for again under its key had {table.effects} effects")
    try:
        ask("stdio:ada", f"{name}, but otherwise")
        yield Broken("I8", f"another request under the key of '{name}' was taken for it")
    except Refused:
        pass  # as it must be
    if ask("stdio:bob", name) == first:
        yield Broken("I8", f"the key of '{name}' answers another principal")
