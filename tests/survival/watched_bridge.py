"""The real bridge, whose server is the watched one. Imports no more than a bridge does.

python watched_bridge.py MEETING
"""

import sys
from pathlib import Path

from gatewright.server import bridge

SELF = Path(__file__).resolve()
SERVER = SELF.with_name("watched.py")


def bridge_command(meeting: Path) -> list[str]:
    return [sys.executable, str(SELF), str(meeting)]


if __name__ == "__main__":
    raise SystemExit(bridge.main(command=[sys.executable, str(SERVER), sys.argv[1]]))
