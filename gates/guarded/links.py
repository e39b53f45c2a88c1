"""Follow the symbolic links of a tree by their texts alone; pure."""

import posixpath
from collections.abc import Iterable, Mapping

HOPS_MAX = 40


def followed(path: str, links: Mapping[str, str]) -> tuple[str, ...]:
    """The path, every link on its way and every path that they lead to, as git names them; `links` are targets by path.

    It ends where no link is left, and where a link leads out of the tree, or in a circle.
    """
    found = [path]
    for _ in range(HOPS_MAX):
        path = found[-1]
        at = next((step for step in _steps(path) if step in links), None)
        if at is None:
            break
        rest = path[len(at) + 1 :]
        to = posixpath.normpath(posixpath.join(posixpath.dirname(at), links[at], rest))
        found.append(at)
        if to.startswith(("/", "..")):
            break
        found.append(to)
    return tuple(dict.fromkeys(found))


def _steps(path: str) -> Iterable[str]:
    """`a`, `a/b` and `a/b/c` for `a/b/c`."""
    parts = path.split("/")
    return ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
