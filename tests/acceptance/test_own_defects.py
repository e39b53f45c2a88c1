"""A defect of ours is told as one, alike in both generations, and its details stay in the log."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from .house import Generation, Server

pytestmark = pytest.mark.anyio

DETAIL = "/home/ann/.ssh/id_ed25519"


class Whole(BaseModel):
    """Something that cannot be made: pydantic's own error, which the SDK takes for the client's."""

    number: int


async def break_an_invariant() -> None:
    raise AssertionError(DETAIL)


async def break_a_model() -> None:
    Whole.model_validate({"number": DETAIL})


CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "tools/call": lambda client: client.call_tool("get_status", {}),
    "resources/read": lambda client: client.read_resource("gatewright://changes"),
    "resources/list": lambda client: client.list_resources(),
    "prompts/get": lambda client: client.get_prompt("work_stage"),
}


@pytest.mark.parametrize("defect", [break_an_invariant, break_a_model])
@pytest.mark.parametrize("method", CALLS)
async def test_a_defect_is_an_internal_error_that_tells_no_details(
    desk: Server,
    generation: Generation,
    method: str,
    defect: Callable[[], Awaitable[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """JSON-RPC: -32603. The SDK by itself gives the exception's own words away in the older generation."""
    application = desk.application

    class Broken:
        """The product's surface, of which every answer fails."""

        def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:  # Any: whatever would be answered
            async def answer(*_: object) -> Any:  # noqa: ANN401 - as above
                await defect()

            return answer

    broken: Any = Broken()  # Any: has whatever is asked for
    async with Client(application.server_of(broken), mode=generation) as client:
        with pytest.raises(MCPError) as told, anyio.fail_after(10), caplog.at_level(logging.ERROR):
            await CALLS[method](client)

    assert told.value.error.code == types.INTERNAL_ERROR
    assert DETAIL not in told.value.error.message
    assert "server.log" in told.value.error.message
    assert DETAIL in caplog.text
    assert method in caplog.text


async def test_what_the_client_did_wrong_is_still_its_own(desk: Server, generation: Generation) -> None:
    async with desk.agent("ada", generation) as ada:
        with pytest.raises(MCPError) as told:
            await ada.client.read_resource("gatewright://nothing")

    assert told.value.error.code == types.INVALID_PARAMS
