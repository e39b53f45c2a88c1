"""One transaction, in words of the domain. No SQL outside this package."""

from .cache import Cache
from .changes import Changes
from .deliveries import Deliveries
from .evaluations import Evaluations
from .evidence import EvidenceKept
from .examination import Examination
from .forms import evidence_adapter
from .judgements import Judgements
from .replies import Replies
from .settings import Settings
from .tokens import Tokens

__all__ = ["Tx", "evidence_adapter"]


class Tx(Changes, Evaluations, Deliveries, EvidenceKept, Replies, Cache, Settings, Examination, Judgements, Tokens):
    """Alive only inside `Store.run` or `Store.read`."""
