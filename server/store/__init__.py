"""The store: the truth about every change, behind one method, `Store.run(work)`.

rows     what rows mean: openings, evaluations, replies
schema   the tables
sqlite   the embedded database: files, locks, durability, the change feed
tx       one transaction in words of the domain
store    opening, running transactions, refusing what it cannot trust
"""

from .rows import EvaluationRow, EvaluationState, Opening, PassedTree, Purpose, StoredEvidence, StoredReply, openings_of
from .store import Store, StoreMissing, StoreUnavailable, StoreUnusable, open_store

__all__ = [
    "EvaluationRow",
    "EvaluationState",
    "Opening",
    "PassedTree",
    "Purpose",
    "Store",
    "StoreMissing",
    "StoreUnavailable",
    "StoreUnusable",
    "StoredEvidence",
    "StoredReply",
    "open_store",
    "openings_of",
]
