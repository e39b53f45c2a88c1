"""What SQLite and PostgreSQL call otherwise, as words that each statement is written with once."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# SQLite numbers rows by itself in a column of exactly this type.
NUMBERED = BigInteger().with_variant(Integer(), "sqlite")
# Compared byte by byte, whatever language the database speaks; SQLite knows nothing else.
AS_BYTES = String().with_variant(String(collation="C"), "postgresql")


class place_of_text(FunctionElement[int]):  # noqa: N801  # it stands in statements, as `func.max` does
    """Where a text is found in another one, from 1; 0 when it is not."""

    name = "place_of_text"
    type = Integer()
    inherit_cache = True


class is_settled(FunctionElement[bool]):  # noqa: N801  # as above
    """Whether nothing can be committed any more with a position below this one."""

    name = "is_settled"
    type = Boolean()
    inherit_cache = True


@compiles(place_of_text)
def _instr(element: place_of_text, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - passed on
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(place_of_text, "postgresql")
def _strpos(element: place_of_text, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - passed on
    return f"strpos({compiler.process(element.clauses, **options)})"


@compiles(is_settled)
def _always(_: is_settled, __: SQLCompiler, **___: object) -> str:
    # One writes at a time, and positions rise as it does.
    return "1"


@compiles(is_settled, "postgresql")
def _below_horizon(element: is_settled, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - passed on
    return f"({compiler.process(element.clauses, **options)} < settled_position())"
