"""The store: the truth about every change, behind one method, `Store.run(work)`.

store        running transactions, and telling in a sentence when that cannot be done
creation     opening a store: making it, refusing what cannot be trusted
problems     what can be wrong with a store
write_lock   where writers queue
sqlite       the embedded database: connections, durability, errors, the change feed

rows         what rows mean: openings, evaluations, replies
schema       the tables
forms        how values stand in columns
tx           one transaction in words of the domain, put together from its parts, one subject each:
             changes, openings, evaluations, evidence, replies, cache, settings, examination, judgements,
             tokens (part: what they stand on)

Importing the store imports no database library; opening one does.
"""

from .creation import open_store
from .problems import StoreMissing, StoreUnavailable, StoreUnusable
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
from .store import Store

__all__ = [
    "REVIEWER",
    "EvaluationRow",
    "EvaluationState",
    "Judgement",
    "Opening",
    "PassedTree",
    "Purpose",
    "Store",
    "StoreMissing",
    "StoreUnavailable",
    "StoreUnusable",
    "StoredEvidence",
    "StoredReply",
    "TokenRow",
    "Upheld",
    "open_store",
    "openings_of",
]
