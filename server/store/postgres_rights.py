"""What the role that is connected may do with the tables in PostgreSQL: enough for a server, a worker, or neither."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

from .schema import APPEND_ONLY, metadata

if TYPE_CHECKING:
    from .tx import Tx

READ, ADD, CHANGE, TAKE = "SELECT", "INSERT", "UPDATE", "DELETE"
# What `gatewright worker` needs: to judge and to settle. Not the secret of leases, nor tokens, nor what people set; of
# `meta` two columns alone.
OF_WORKERS: Mapping[LiteralString, tuple[LiteralString, ...]] = {
    "change": (READ, ADD, CHANGE),
    "evaluation": (READ, ADD, CHANGE),
    "passed_tree": (READ, ADD, CHANGE),
    "event": (READ, ADD),
    "evidence": (READ, ADD),
    "opening": (READ, ADD, CHANGE, TAKE),
    "cache": (READ, ADD, CHANGE, TAKE),
}
# As `postgres_queue` grants it.
_QUEUE: Mapping[str, tuple[str, ...]] = {
    "procrastinate_jobs": (READ, ADD, CHANGE, TAKE),
    "procrastinate_workers": (READ, ADD, CHANGE, TAKE),
}
_WHO = "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user"
_MAY = "SELECT has_table_privilege(%s, %s)"


@dataclass(frozen=True, slots=True)
class RoleRights:
    """`lacking_of_server` and `lacking_of_worker` are what the role may not do, as `INSERT on event`."""

    role: str
    is_superuser: bool
    lacking_of_server: tuple[str, ...]
    lacking_of_worker: tuple[str, ...]


def rights_of_role(tx: "Tx") -> RoleRights:
    """Of whoever is connected."""
    role, is_superuser = tx.connection.exec_driver_sql(_WHO).one()
    of_servers = {
        table: (READ, ADD) if table in APPEND_ONLY else (READ, ADD, CHANGE, TAKE) for table in sorted(metadata.tables)
    }
    lacking_of_server = _lacking(tx, {**of_servers, **_QUEUE})
    lacking_of_worker = _lacking(tx, {**OF_WORKERS, **_QUEUE})
    return RoleRights(str(role), bool(is_superuser), lacking_of_server, lacking_of_worker)


def _lacking(tx: "Tx", needed: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    wanted = [(table, right) for table, rights in needed.items() for right in rights]
    return tuple(f"{right} on {table}" for table, right in wanted if not _may(tx, table, right))


def _may(tx: "Tx", table: str, right: str) -> bool:
    return bool(tx.connection.exec_driver_sql(_MAY, (table, right)).scalar())
