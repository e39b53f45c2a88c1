"""What this machine or another one cannot do for the moment, as the refusal that says so."""

from collections.abc import Generator
from contextlib import contextmanager

from ..gates.git import OUTAGES, GitFailed
from ..gates.remote.problems import RemoteProblem
from ..schemas import refusals
from ..schemas.refusals import Refused
from .store import StoreUnavailable


@contextmanager
def outages_refused() -> Generator[None]:
    """Raise `Refused` (store_unavailable) when store, git, remote or disk cannot work; what else is raised goes by."""
    try:
        yield
    except StoreUnavailable as exc:
        raise Refused(refusals.store_unavailable(str(exc))) from exc
    except RemoteProblem as exc:
        raise Refused(refusals.remote_unavailable(exc.message)) from exc
    except GitFailed as exc:
        raise Refused(refusals.store_unavailable(f"git could not do its work: {exc}.")) from exc
    except OSError as exc:
        if exc.errno not in OUTAGES:
            raise
        raise Refused(refusals.store_unavailable(f"{exc.strerror}: {exc.filename}.")) from exc
