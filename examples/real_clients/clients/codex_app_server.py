"""Ask codex itself, through the server that its editors and desktop programs talk to (JSON lines on a pipe)."""

import json
import subprocess
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from events import JsonObject

# What comes back is codex's own business and deep: it is looked at where it is used.
Ask = Callable[[str, JsonObject], dict[str, Any]]


@contextmanager
def app_server(argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], timeout_s: float) -> Generator[Ask]:
    """Start the server and give what asks it: method and parameters to result, empty for an error or an end.

    The server is stopped at the end of the block, and after `timeout_s` in any case.
    """
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stdin
        assert server.stdout
        timer = threading.Timer(timeout_s, server.kill)
        timer.start()
        try:
            ask = _asking(server.stdin, server.stdout)
            ask("initialize", {"clientInfo": {"name": "real_clients", "version": "1"}})
            yield ask
        finally:
            timer.cancel()
            server.kill()


def _asking(requests: IO[str], replies: IO[str]) -> Ask:
    def ask(method: str, params: JsonObject) -> dict[str, Any]:
        try:
            requests.write(json.dumps({"id": method, "method": method, "params": params}) + "\n")
            requests.flush()
        except BrokenPipeError:
            return {}
        for line in replies:
            reply = json.loads(line)
            if reply.get("id") == method:
                result = reply.get("result")
                return result if isinstance(result, dict) else {}
        return {}

    return ask
