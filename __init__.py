"""gatewright: multi-agent coding as a protocol.

`schemas` says what things are, `gates` decides, `server` talks and stores.
"""

__version__ = "0.1.0"
