"""What every part of a transaction stands on."""

from sqlalchemy import Connection


class Part:
    """One subject's share of `Tx`, in words of the domain; alive only inside `Store.run` or `Store.read`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
