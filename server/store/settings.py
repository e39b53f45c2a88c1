"""Settings of the store itself, such as the trusted branch."""

from sqlalchemy import bindparam, select, update

from . import schema
from .part import Part, Prepared, adding

_meta = schema.meta


class Settings(Part):
    """Texts by name."""

    def meta_get(self, name: str) -> str | None:
        """A setting, or None when it was never made. If this transaction writes, nobody else does before it ends."""
        self.hold(f"setting {name}")
        value: str | None = self._value(_GET, this=name)
        return value

    def meta_set(self, name: str, value: str) -> None:
        """Make or change a setting."""
        self.hold(f"setting {name}")
        if not self._write(_CHANGE, this=name, value=value):
            self._write(_ADD, name=name, value=value)


_GET = Prepared(select(_meta.c.value).where(_meta.c.name == bindparam("this")))
_CHANGE = Prepared(update(_meta).where(_meta.c.name == bindparam("this")).values(value=bindparam("value")))
_ADD = adding(_meta, without=("data",))
