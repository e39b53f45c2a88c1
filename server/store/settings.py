"""Settings of the store itself, such as the trusted branch."""

from sqlalchemy import bindparam, insert, select, update

from . import schema
from .part import Part

_meta = schema.meta


class Settings(Part):
    """Texts by name."""

    def meta_get(self, name: str) -> str | None:
        """A setting, or None when it was never made."""
        return self.connection.execute(_GET, {"this": name}).scalar()

    def meta_set(self, name: str, value: str) -> None:
        """Make or change a setting."""
        if self.connection.execute(_CHANGE, {"this": name, "value": value}).rowcount == 0:
            self.connection.execute(_ADD, {"name": name, "value": value})


_GET = select(_meta.c.value).where(_meta.c.name == bindparam("this"))
_CHANGE = update(_meta).where(_meta.c.name == bindparam("this")).values(value=bindparam("value"))
_ADD = insert(_meta)
