"""The store: the truth about every change, behind one method, `Store.run(work)`.

store        running transactions, and telling in a sentence when that cannot be done
database     what it asks of the database that it stands on
problems     what can be wrong with a store

creation     opening a store in a file: making it, refusing what cannot be trusted
sqlite       the embedded database: connections, durability, the change feed (sqlite_errors: sentences)
write_lock   where its writers queue

shared       opening a store in PostgreSQL, making it, refusing what cannot be trusted
moving       from a file into PostgreSQL, with nothing lost
postgres     the shared database: connections, transactions (postgres_place: its address; postgres_errors: sentences;
             postgres_feed: who committed; postgres_schema: what its tables have beside them;
             postgres_queue: Procrastinate's tables; postgres_rights: what a role may do with them all)

rows         what rows mean: openings, evaluations, replies
schema       the tables
dialects     what the two databases call otherwise
forms        how values stand in columns
tx           one transaction in words of the domain, put together from its parts, one subject each:
             changes, openings, evaluations, deliveries, evidence, replies, cache, settings, examination, judgements,
             tokens (part: what they stand on)

Importing the store imports no database library; opening one does.
"""

from .creation import open_store
from .problems import NotMigrated, StoreClosed, StoreMissing, StoreUnavailable, StoreUnusable
from .rows import (
    REVIEWER,
    EvaluationRow,
    EvaluationState,
    Judgement,
    Opening,
    PassedTree,
    Purpose,
    StoredEvidence,
    StoredReply,
    TokenRow,
    Upheld,
    openings_of,
)
from .shared import Migration, create_database, open_database
from .store import Store

__all__ = [
    "REVIEWER",
    "EvaluationRow",
    "EvaluationState",
    "Judgement",
    "Migration",
    "NotMigrated",
    "Opening",
    "PassedTree",
    "Purpose",
    "Store",
    "StoreClosed",
    "StoreMissing",
    "StoreUnavailable",
    "StoreUnusable",
    "StoredEvidence",
    "StoredReply",
    "TokenRow",
    "Upheld",
    "create_database",
    "open_database",
    "open_store",
    "openings_of",
]
