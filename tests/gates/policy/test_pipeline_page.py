"""docs/pipeline.md says all that a pipeline may say."""

import re
from pathlib import Path

import pytest

from gatewright.gates.policies.pipeline_file import parse_pipeline
from gatewright.gates.protection import TOOL_FILES, TOOL_TABLES
from gatewright.schemas.pipeline import Land, Limits, Model, Pipeline, Setup, Stage

PAGE = (Path(__file__).parents[3] / "docs" / "pipeline.md").read_text("utf-8")


@pytest.mark.parametrize("model", [Pipeline, Setup, Limits, Stage, Land])
def test_every_key_is_explained(model: type[Model]) -> None:
    assert [key for key in model.model_fields if f"`{key}`" not in PAGE] == []


def test_the_example_is_a_pipeline() -> None:
    example = re.findall(r"```yaml\n(version: 1.*?)```", PAGE, re.DOTALL)

    assert [set(parse_pipeline(text).stages) for text in example] == [{"plan", "code"}]


def test_every_file_that_is_protected_unasked_is_named() -> None:
    names = [glob.rpartition("/")[2].removeprefix(".") for glob in (*TOOL_FILES, *TOOL_TABLES)]

    assert [name for name in names if name not in PAGE] == []
