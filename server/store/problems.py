"""What can be wrong with a store; `str()` of each is one sentence for a person."""

EXTRA = "pip install 'gatewright[team]'"
"""What brings the libraries that a shared database needs."""


class StoreMissing(Exception):
    """There is no store here, and the caller did not ask to make one."""


class NotMigrated(StoreMissing):
    """There is no store in this shared database."""


class StoreUnusable(Exception):
    """What lies there is not a store of ours, is damaged, or was made by a newer version."""


class StoreUnavailable(Exception):
    """The store cannot be read or written now. Nothing of the transaction was kept.

    Only when the disk fails at the very end of a commit is that unknown; the same request under the same key is safe.
    """


class StoreClosed(StoreUnavailable):
    """The database answers and lets this process in by no means: waiting will not change that, a person has to."""
