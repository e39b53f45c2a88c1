"""The board: one page that shows what the tools tell, and decides nothing. See docs/board.md.

page       the page put together, and what a browser is told to allow it (page.html, page.css; text.js: words and times,
           asking.js: MCP over HTTP or through a host, showing.js: replies as elements, living.js: who looks, and when)
mcp_app    the page as an MCP App: its address, its link, and for which clients
team_page  the page at `/` of `gatewright serve`: static, its data comes from `/mcp` with a token
local      `gatewright board`: the page and what it asks for, to one person on this machine (looking: the few questions
           that are answered there; keys: who asks; opening: hand the link to a browser)
"""
