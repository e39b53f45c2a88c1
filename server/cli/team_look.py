"""What a team stands on, each thing in one line with the command that mends it: database, remote, workers, server."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from ...schemas.ids import LAND, short
from .surroundings import Item

if TYPE_CHECKING:
    from ...gates.policy import Policy
    from ..over_http import TeamServer
    from ..store import Store
    from .team import Team

# Further apart, the times in logs tell another story than the times in the store; tokens of an issuer end too late.
CLOCK_APART_MAX = timedelta(seconds=5)
RIGHTS_SHOWN_MAX = 3
READY, UNREADY, UNAUTHORIZED, MISDIRECTED = 200, 503, 401, 421
LOOK_AGAIN = "Mend that, then look again: gatewright doctor"


def look_at_role(store: "Store") -> Iterator[Item]:
    """What the role of this address may do; of a server's too much is worth knowing."""
    from ..store.postgres_rights import rights_of_role

    rights = store.read(rights_of_role)
    if rights.is_superuser:
        yield Item("role", None, f"'{rights.role}' is a superuser: enough for everything, and more than a server needs")
    elif not rights.lacking_of_server:
        yield Item("role", True, f"'{rights.role}' may do what a server does")
    elif not rights.lacking_of_worker:
        yield Item("role", True, f"'{rights.role}' may do what a worker does, and not what a server does")
    else:
        lacking = ", ".join(rights.lacking_of_worker[:RIGHTS_SHOWN_MAX])
        text = f"'{rights.role}' may do neither what a server does nor what a worker does; it lacks {lacking}"
        yield Item("role", False, text, f"as the owner: gatewright migrate --worker-role {rights.role}")


def look_at_clock(store: "Store") -> Iterator[Item]:
    """This machine's clock and the database's."""
    from ..composition import system_clock

    apart = store.clock(system_clock)() - system_clock()
    seconds = abs(apart.total_seconds())
    if abs(apart) <= CLOCK_APART_MAX:
        yield Item("clock", True, f"{seconds:.1f} s from the database's")
    else:
        side = "behind" if apart > timedelta() else "ahead of"
        yield Item(
            "clock", False, f"this machine's is {seconds:.0f} s {side} the database's", "timedatectl set-ntp true"
        )


def look_at_remote(team: "Team", target: str | None) -> Iterator[Item]:
    """The remote, with a ref that is made there and taken away again; the target is only asked about. Blocking."""
    from ...gates.remote.address import parse_address
    from ...gates.remote.probing import FOLDER, probe

    address = parse_address(team.remote)
    found = probe(address, target)
    if found.reading is not None:
        yield Item("remote", False, found.reading, f"git ls-remote {address.shown}")
        return
    yield Item("remote", True, f"{address.shown} answers")
    if found.target is None or found.tip is None:
        what = f"there is no branch '{found.target}'" if found.target else "the remote names no branch of its own"
        yield Item("target", False, what, "gatewright migrate --target BRANCH names another one of a new store")
    else:
        yield Item("target", True, f"'{found.target}' stands at {short(found.tip)}")
    if found.keeping is not None:
        mend = f"let the accounts of servers and workers push to {FOLDER.removesuffix('doctor/')}*"
        yield Item("keeping", False, f"{found.keeping} Nothing can be handed in.", mend)
    else:
        yield Item("keeping", True, f"this account may write below {FOLDER.removesuffix('doctor/')}")
    if found.fetching is not None:
        mend = "on the remote: git config uploadpack.allowAnySHA1InWant true"
        yield Item("fetch by id", False, found.fetching, mend)
    elif found.keeping is None:
        yield Item("fetch by id", True, "a commit that no branch shows was fetched by its id")
    if found.left is not None:
        mend = f"git push {address.shown} --delete {found.left}"
        yield Item("deleting", False, f"{found.left} was made to try it, and cannot be taken away", mend)
    if found.pushing is not None:
        mend = "give the servers' account write access; a worker's account needs none to the target"
        yield Item("landing", False, found.pushing, mend)
    elif found.target is not None:
        text = f"this account may push; whether a rule or hook keeps it from '{found.target}' shows at a landing alone"
        yield Item("landing", True, text)


def look_at_workers(store: "Store", policy: "Policy | None") -> Iterator[Item]:
    """Who runs gates, and which stages wait because nobody has their labels."""
    from ..engine.distributed import labels_key
    from ..engine.queue import STALLED_AFTER_S

    alive = store.read(lambda tx: {n: tx.cache_get(labels_key(n)) or "" for n in tx.workers(STALLED_AFTER_S)})
    start = "gatewright worker --database-url URL --remote URL --state DIR"
    if not alive:
        yield Item("workers", False, "none is alive: nothing is judged, and nothing lands", start)
    else:
        named = ", ".join(f"w{number}{f' ({labels})' if labels else ''}" for number, labels in alive.items())
        yield Item("workers", True, f"alive: {named}")
    if policy is None:
        return
    having = [frozenset(filter(None, labels.split(","))) for labels in alive.values()]
    for name, wanted in _labels_of(policy).items():
        if wanted and not any(wanted <= labels for labels in having):
            listed = ",".join(sorted(wanted))
            text = f"it waits for ever: no worker that is alive has the labels {listed} together"
            yield Item(f"{name}", False, text, f"{start} --labels {listed}")


def look_at_server(server: "TeamServer") -> Iterator[Item]:
    """A server from where this runs: it is reached under this URL, is ready, and lets nobody in without a token."""
    from ..over_http import NoAnswer

    try:
        status, _ = server.is_there("/healthz")
    except NoAnswer as exc:
        yield Item("server", False, str(exc), f"curl -v {server.url}/healthz")
        return
    if status != READY:
        mend = f"gatewright serve --public-url {server.url} ..."
        why = "it is not reached under this name" if status == MISDIRECTED else "is it one of gatewright's?"
        yield Item("server", False, f"{server.url} answers {status}: {why}", mend)
        return
    over = (
        "over TLS, by a certificate that this machine trusts" if server.url.startswith("https:") else "on this machine"
    )
    yield Item("server", True, f"{server.url} lives, {over}")
    try:
        yield from _readiness(server)
    except NoAnswer as exc:
        yield Item("server", False, str(exc), f"curl -v {server.url}/readyz")


def _readiness(server: "TeamServer") -> Iterator[Item]:
    status, told = server.is_there("/readyz")
    if status == READY:
        yield Item("ready", True, "it takes work")
    else:
        text = f"it takes no work: {told.get('because', status)}"
        yield Item("ready", False, text, "its log says more: journalctl -u gatewright-serve")
    status, _ = server.is_there("/mcp")
    if status == UNAUTHORIZED:
        yield Item("tokens", True, "nobody is let in without one")
    elif status != UNREADY:
        yield Item("tokens", False, f"/mcp answers {status} to whoever has none", f"curl -v {server.url}/mcp")


def _labels_of(policy: "Policy") -> dict[str, frozenset[str]]:
    """What a worker must have for all gates of a stage, and for those of a landing."""
    from ...gates.policy import plan_of

    plan = plan_of(policy.pipeline)
    return {**{rule.name: frozenset(rule.runs_on) for rule in plan.stages}, LAND: frozenset(plan.land_runs_on)}
