"""The page at `/` of a server for a team: the same for everybody, and empty until a token is given to it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .page import Via, headers, page


def route() -> Route:
    """`GET /`; what the page shows it asks `/mcp` for."""
    return Route("/", _page, methods=["GET"])


async def _page(_: Request) -> Response:
    return Response(page(Via.TEAM), headers=headers(), media_type="text/html")
