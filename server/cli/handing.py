"""Start this program again without the team's secrets in its environment or arguments, where gates could read them.

They come back through a pipe, which is read once. See docs/team.md.
"""

import ctypes
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .command import UsageError
from .team import TEAM_VARIABLES, Team
from .team_server import TOKEN_VARIABLE

# The number of a pipe with the team's addresses in it: set by the process that this one was, and by nobody else.
HANDED = "GATEWRIGHT_HANDED_TEAM"
# So much a pipe takes before anybody reads.
HANDED_BYTES_MAX = 4096
PR_SET_DUMPABLE = 4


def is_handed() -> bool:
    """Whether this process was started again with a team."""
    return HANDED in os.environ


def handed_team() -> Team | None:
    """What the process that this one was has left in a pipe."""
    number = os.environ.pop(HANDED, None)
    if number is None:
        return None
    with os.fdopen(int(number), "rb") as pipe:
        url, remote, state = json.loads(pipe.read(HANDED_BYTES_MAX))
    return Team(url, remote, Path(state))


def start_again(team: Team, arguments: Sequence[str]) -> None:
    """Become the same command, with the addresses in nothing that other processes can read. Does not return."""
    handed = json.dumps([team.database_url, team.remote, str(team.state.absolute())]).encode()
    if len(handed) > HANDED_BYTES_MAX:
        raise UsageError("the addresses of the database and the remote are too long")
    begin, end = os.pipe()
    os.write(end, handed)
    os.close(end)
    os.set_inheritable(begin, True)
    secret = TEAM_VARIABLES | {TOKEN_VARIABLE}
    environment = {name: value for name, value in os.environ.items() if name not in secret}
    command = [sys.executable, "-P", "-m", "gatewright", *arguments]
    os.execve(sys.executable, command, {**environment, HANDED: str(begin)})


def keep_others_out() -> None:
    """No process of the same user reads this one's memory or descriptors; on Linux, and from everybody but root."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
