"""The tables; `forms` says how values stand in their columns, `dialects` what each database calls otherwise."""

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FetchedValue,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    case,
    desc,
    literal_column,
)

from ...schemas.records import ChangeState, LandingStep, StageState
from .dialects import AS_BYTES, NUMBERED, place_of_text

VERSION = 1

metadata = MetaData()

meta = Table(
    "meta", metadata, Column("name", String, primary_key=True), Column("value", Text), Column("data", LargeBinary)
)

change = Table(
    "change",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", String, unique=True, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("record", Text, nullable=False),
    Index("change_by_state", "state", "number"),
)

# Without one of these in its text nothing of a change waits for people: records are kept as JSON without blanks. That a
# text has one does not say where. Written out, because a database uses an index of some rows for no other condition.
_AWAITED_MARKS = (
    f'"state":"{StageState.ESCALATED}"',
    f'"state":"{StageState.IN_REVIEW}"',
    f'"step":"{LandingStep.ASKING}"',
    f'"step":"{LandingStep.BLOCKED}"',
)
# One expression, so that of all indexes only the one of these rows is of use.
_FOUND_MARKS: ColumnElement[int] = sum(
    (place_of_text(change.c.record, literal_column(f"'{mark}'")) for mark in _AWAITED_MARKS), start=literal_column("0")
)
MAY_BE_AWAITED = case(
    (change.c.state == literal_column(f"'{ChangeState.ACTIVE}'"), _FOUND_MARKS), else_=literal_column("0")
) > literal_column("0")
Index("change_awaited", change.c.number, sqlite_where=MAY_BE_AWAITED, postgresql_where=MAY_BE_AWAITED)

event = Table(
    "event",
    metadata,
    Column("position", NUMBERED, FetchedValue(), primary_key=True, autoincrement=False),
    Column("change", ForeignKey("change.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("event", Text, nullable=False),
    Index("event_of_change", "change", "version", unique=True),
)

opening = Table(
    "opening",
    metadata,
    Column("change", String, primary_key=True),
    Column("stage", String, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("role", String),
    Column("since", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Index("opening_expiry", "expires_at"),
    # Read in order up to the first few that can be claimed, without a look at the table for those that cannot.
    Index("opening_order", "number", desc("place"), "expires_at", "stage", "role"),
)

evaluation = Table(
    "evaluation",
    metadata,
    Column("id", String, primary_key=True),
    Column("change", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("attempt", Integer),
    Column("commit", String),
    Column("tree", String),
    Column("scope_base", String),
    Column("gates", Text, nullable=False),
    Column("fence", Integer),
    Column("token", String),
    Column("heartbeat_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("tries", Integer, nullable=False),
    Column("progress", Text, nullable=False),
    Index("evaluation_due", "state", "not_before"),
    Index("evaluation_of_stage", "change", "stage"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("number", NUMBERED, primary_key=True),
    Column("evaluation", String, nullable=False),
    Column("change", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("attempt", Integer),
    Column("commit", String, nullable=False),
    Column("tree", String, nullable=False),
    Column("policy_digest", String, nullable=False),
    Column("gate", String, nullable=False),
    Column("gate_digest", String, nullable=False),
    Column("evidence", Text, nullable=False),
    Index("evidence_of_evaluation", "evaluation", "gate", unique=True),
)

reply = Table(
    "reply",
    metadata,
    Column("principal", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("request_digest", String, nullable=False),
    Column("reference", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

cache = Table(
    "cache",
    metadata,
    Column("key", AS_BYTES, primary_key=True),
    Column("value", Text, nullable=False),
    Column("used_at", BigInteger, nullable=False, index=True),
)

passed_tree = Table(
    "passed_tree",
    metadata,
    Column("tree", String, primary_key=True),
    Column("policy_digest", String, primary_key=True),
    Column("change", String, nullable=False),
    Column("evaluation", String, nullable=False),
    Column("commit", String, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# Beside the work: who may call over HTTP. Of a token only its digest is here.
token = Table(
    "token",
    metadata,
    Column("digest", String, primary_key=True),
    Column("id", String, unique=True, nullable=False),
    Column("subject", String, nullable=False),
    Column("scopes", String, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("issued_by", String, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("revoked_by", String),
)

# A file that was made before these were has none of them, and lacks nothing: they are added when it is opened.
ADDED_LATER = frozenset({token.name})

# Evidence and events are history: the database itself refuses to rewrite them.
APPEND_ONLY = ("evidence", "event")
