"""What can be wrong with the repository that a team shares."""

from enum import StrEnum


class RemoteFault(StrEnum):
    """UNREACHABLE: no answer, so nothing is known. DECLINED: it said no. MISSING: it has not got what was asked for."""

    UNREACHABLE = "unreachable"
    DECLINED = "declined"
    MISSING = "missing"


class RemoteProblem(Exception):
    """The remote did not do what it was asked; `message` is a whole sentence without any credential."""

    def __init__(self, fault: RemoteFault, message: str) -> None:
        self.fault = fault
        self.message = message
        super().__init__(message)
