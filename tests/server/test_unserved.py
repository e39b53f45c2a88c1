"""Where there is no repository, a client that lists everything at its start is answered all the same."""

import subprocess
import sys

import pytest

from gatewright.server.unserved import answer

LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}


@pytest.mark.parametrize(("method", "name"), LISTS.items())
def test_every_list_is_empty(method: str, name: str) -> None:
    result = answer({"method": method}, "There is no git repository.")

    assert result is not None
    assert result[name] == []
    assert result["ttlMs"] == 0


@pytest.mark.parametrize("method", ["tools/call", "resources/read", "prompts/get", "completion/complete"])
def test_what_needs_a_repository_is_not_answered(method: str) -> None:
    assert answer({"method": method}, "There is no git repository.") is None


@pytest.mark.slow
def test_importing_what_is_served_imports_no_database_and_no_git() -> None:
    """It stands between a server's start and its first reply."""
    code = (
        "import gatewright.server.app, sys; print([n for n in ('sqlalchemy', 'git', 'jsonschema') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"
