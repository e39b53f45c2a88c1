"""The real bridge, whose server is the watched one. Imports no more than a bridge does.

python watched_bridge.py NURSERY MEETING
"""

import sys
from pathlib import Path

from gatewright.server import bridge

SELF = Path(__file__).resolve()
STARTER = SELF.with_name("starter.py")


def bridge_command(nursery: Path, meeting: Path) -> list[str]:
    return [sys.executable, str(SELF), str(nursery), str(meeting)]


def server_command(nursery: str, meeting: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(STARTER), nursery, meeting]


if __name__ == "__main__":
    raise SystemExit(bridge.main(command=server_command(*sys.argv[1:])))
