"""The real bridge, whose server is the watched one. Imports no more than a bridge does.

python watched_bridge.py NURSERY MEETING VERSION
"""

import sys
from pathlib import Path

from gatewright.server import bridge

SELF = Path(__file__).resolve()
STARTER = SELF.with_name("starter.py")


def bridge_command(nursery: Path, meeting: Path, version: str) -> list[str]:
    return [sys.executable, str(SELF), str(nursery), str(meeting), version]


def main(nursery: str, meeting: str, version: str) -> int:
    server = [sys.executable, "-I", "-S", str(STARTER), nursery, meeting, version]
    return bridge.main(command=server, version=version)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
