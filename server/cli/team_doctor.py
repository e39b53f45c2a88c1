"""`gatewright doctor` for a team: what its operator gets wrong, each in one line with the command that mends it.

Nothing is moved: on the remote one ref of its own is made and taken away again. Gates are tried on this machine, so
it starts itself again as a worker does, with the team's addresses where no gate could read them.
"""

from argparse import Namespace
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from .database import VARIABLE
from .examination import Examination, Wishes, say, stopped
from .failures import failure_of
from .handing import handed_team, is_handed, keep_others_out, start_again
from .surroundings import Item
from .team import REMOTE_VARIABLE, STATE_VARIABLE, Team, find_team, team_services_of
from .team_look import LOOK_AGAIN, look_at_clock, look_at_remote, look_at_role, look_at_server, look_at_workers
from .team_server import is_server_named, server_url
from .terminal import Terminal

if TYPE_CHECKING:
    from ...gates.policy import Policy
    from ..services import Services
    from ..store import Store


def is_about_team(options: Namespace) -> bool:
    """Whether a team, or its server, is named."""
    return is_handed() or is_server_named(options) or find_team(options) is not None


def run(options: Namespace, terminal: Terminal) -> list[Item]:
    """Look at all of it; each item is told as soon as it is known."""
    team = handed_team()
    if team is None and (found := find_team(options)) is not None:
        start_again(found, _arguments(options))
    keep_others_out()
    told = _Told(terminal)
    if is_server_named(options):
        from ..over_http import TeamServer

        told.all(look_at_server(TeamServer(server_url(options), "")))
    if team is not None:
        _look_at_team(team, options, told)
    else:
        told.one(
            Item(
                "team",
                None,
                f"a URL shows no more of it; the rest wants {VARIABLE}, {REMOTE_VARIABLE} and {STATE_VARIABLE}",
            )
        )
    return told.items


class _Told:
    """Items, each said when it is known; what is expected to go wrong becomes one that is red."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.items: list[Item] = []

    def all(self, items: Iterator[Item]) -> None:
        with self.red("doctor"):
            for item in items:
                self.one(item)

    def one(self, item: Item) -> None:
        self.items.append(item)
        say(item, self.terminal)

    @contextmanager
    def red(self, name: str, mend: str = LOOK_AGAIN) -> Generator[None]:
        try:
            yield
        except Exception as exc:  # told in a line when it is an expected problem, else it surfaces
            failure = failure_of(exc)
            if failure is None:
                raise
            self.one(Item(name, False, stopped(failure.message), failure.next or mend))


def _look_at_team(team: Team, options: Namespace, told: _Told) -> None:
    with ExitStack() as at_end:
        store, is_worker = _open_store(team, at_end, told)
        target = None
        if store is not None:
            told.all(look_at_role(store))
            told.all(look_at_clock(store))
            target = store.read(lambda tx: tx.meta_get("target"))
        told.all(look_at_remote(team, target))
        if store is None:
            return
        loaded: list[Policy] = []
        with told.red("policy", "gatewright check-pipeline"):
            services = at_end.enter_context(team_services_of(team, is_worker=is_worker))
            policy = services.policies.at(services.policies.tip())
            text = f"loads from {policy.commit[:10]}, digest {policy.digest[:12]}"
            told.one(Item("policy", True, text))
            loaded.append(policy)
        told.all(look_at_workers(store, loaded[0] if loaded else None))
        for policy in loaded if not options.no_gates else []:
            _prove(services, policy, options, told, is_worker=is_worker)


def _open_store(team: Team, at_end: ExitStack, told: _Told) -> "tuple[Store | None, bool]":
    """The store as a server opens it, else as a worker does, whose role reads less."""
    from ..store import NotMigrated, StoreUnavailable, StoreUnusable, open_database

    problem: Exception | None = None
    for is_worker in (False, True):
        try:
            store = at_end.enter_context(closing(open_database(team.database_url, is_worker=is_worker)))
        except (NotMigrated, StoreUnavailable, StoreUnusable) as exc:
            problem = problem or exc
            continue
        told.one(Item("database", True, f"{store.place} answers, and its store is of this version"))
        return store, is_worker
    mend = "psql with the same address says more"
    if isinstance(problem, NotMigrated | StoreUnusable):
        mend = "as the owner of the store: gatewright migrate"
    told.one(Item("database", False, str(problem), mend))
    return None, False


def _prove(services: "Services", policy: "Policy", options: Namespace, told: _Told, *, is_worker: bool) -> None:
    if is_worker:
        told.one(Item("gates", None, "not tried: what is proved is kept by a role of servers, and this is a worker's"))
        return
    told.one(Item("gates", None, "tried on this machine; another one may lack what this one has, so try those too"))
    wishes = Wishes(is_anew=options.again, seeks_canaries=False, has_labels=False)
    with told.red("gates"):
        examination = Examination(services, policy, told.terminal, wishes, services.repository.common_dir)
        examination.examine()
        told.items += examination.items


def _arguments(options: Namespace) -> list[str]:
    """What makes the same command again, but for the team."""
    flags = {"--no-gates": options.no_gates, "--again": options.again, "--json": options.json}
    named = ["--server", options.server] if options.server else []
    colour = ["--no-color"] if getattr(options, "no_color", False) else []
    return ["doctor", *(flag for flag, is_set in flags.items() if is_set), *named, *colour]
