"""The clients, one file each; `client` says what such a file holds."""

from clients.aider import Aider
from clients.claude_code import ClaudeCode
from clients.client import Client
from clients.codex import Codex
from clients.gemini import Gemini
from clients.opencode import OpenCode
from clients.qwen import Qwen

CLIENTS: tuple[Client, ...] = (ClaudeCode(), Codex(), Gemini(), OpenCode(), Qwen(), Aider())
