"""Gate kinds as far as a policy knows them, so that the policy is tested by itself."""

from collections.abc import Mapping

import pytest
from pydantic import Field

from gatewright.gates.policies.pipeline_gates import KindDeclaration
from gatewright.schemas.pipeline import Duration, Model


class Compile(Model):
    absolute: bool = False


class Ruff(Model):
    select: tuple[str, ...] = ()
    format: bool = False
    config: str | None = None


class Command(Model):
    run: str
    report: str = "exit"
    timeout: Duration = 600.0


class Test(Model):
    runner: str = "pytest"
    run: str | None = None
    report: str | None = None


class Document(Model):
    path: str
    sections: tuple[str, ...] = Field(min_length=1)
    ids: str | None = None


class Schema(Model):
    path: str
    schema_path: str = Field(alias="schema")


class Trace(Model):
    from_stage: str = Field(alias="from")
    ids: str
    into: tuple[str, ...]


class Declared:
    def __init__(self, options: type[Model], *references: str) -> None:
        self.options = options
        self.option_names = references

    def references(self, options: Model) -> tuple[str, ...]:
        return tuple(value for value in (getattr(options, name) for name in self.option_names) if value is not None)


@pytest.fixture(scope="session")
def kinds() -> Mapping[str, KindDeclaration]:
    return {
        "scope": Declared(Model),
        "compile": Declared(Compile),
        "ruff": Declared(Ruff, "config"),
        "command": Declared(Command),
        "test": Declared(Test),
        "document": Declared(Document),
        "schema": Declared(Schema, "schema_path"),
        "trace": Declared(Trace),
    }
