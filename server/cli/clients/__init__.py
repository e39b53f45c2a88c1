"""The MCP clients: how each is told of gatewright, and how it is made to forget.

catalogue      the clients by name
client         what a client is to us, and what starts our server
json_client    a client with a JSON file (json_text: one member in and out; places: where it lies; links: to click)
codex          a table of a TOML file
claude_code    a program of its own, or a file
settings_file  read and write a person's file as a whole
"""

from .catalogue import CLIENTS
from .client import server_command

__all__ = ["CLIENTS", "server_command"]
