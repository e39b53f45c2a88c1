"""People at a machine of their own, from which no link is cut; what they need may be gone all the same."""

from ..chaos.person import Person
from .site import GATEWRIGHT, Site


class TeamPerson(Person):
    """Decides by the commands that people have."""

    def __init__(self, site: Site, seed: str, *, is_calm: bool) -> None:
        super().__init__(site, seed, is_calm=is_calm)
        self._site = site

    def _program(self) -> list[str]:
        return [*GATEWRIGHT]

    def _environment(self) -> dict[str, str]:
        return self._site.environment_of_people()
