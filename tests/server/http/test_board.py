"""The board at `/` of a server for a team: a page for everybody, and nothing on it without a token."""

import pytest

from .house import Site

pytestmark = pytest.mark.anyio


async def test_the_page_is_the_same_for_everybody_and_may_run_nothing_but_itself(site: Site) -> None:
    async with site.server.agent() as ada:
        await ada.start("Add sub")

    page = await site.http.get(f"{site.base}/")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert 'data-via="team"' in page.text
    assert "Add sub" not in page.text
    assert (await site.http.post(f"{site.base}/")).status_code == 405
