"""The same application over HTTP, for many machines. See docs/team.md.

serving      listen, serve, drain, end (listening: where and how, or why not)
web          what answers under which path (health: whether it lives and takes work; metrics: for Prometheus)
guards       what every request passes: Host and Origin, rates, who calls, size of the body
listener     how many connections there are; protocol: how slow each may be (web_server: held to that)
limits       how much of what; rates: counting it
calling      who a request is from, as the tools see it
people       what people decide, as plain JSON
label        a client's name from its first request, for those of the handshake generation
streams      how those hear of changes; subscriptions: of which
"""
