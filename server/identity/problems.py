"""What can be wrong with knowing who calls."""


class Unavailable(Exception):
    """Nobody can be known now: the store, or an issuer's keys, cannot be read. `str()` is one sentence."""
