"""Talks and stores. Imports `gates` and `schemas`.

How a client reaches the server (standard library only: every start of every agent pays for these)
    bridge        a client's stdio to the repository's server (exchange, lines, unserved)
    seats         who goes on as the caller when a bridge was killed
    client        one tool call, for the command line (over_http: on a team's server, and what people decide there)
    reach         find the server, start one when there is none (rendezvous: sockets and folders)

How a client reaches it over HTTP
    http/         the listener: limits, authentication, health, draining (the same application behind it)
    identity/     who calls there, and what they may do

The server process, one a repository
    process       become one (in_process: serve inside the client's process instead)
    liveness      whether a process still runs
    build         which code is installed now
    daemon        connections, idleness, draining (transport: MCP over a socket)
    app           what it serves: tools and engine (loading: when to import what these need)
    composition   put one repository's services together, with the real clock
    services      what the operations work with (store/, signal, leases, policies; outages: what cannot work, said)

What it does
    surface       the protocol around it, in both generations (notices: telling clients what changed)
    tools         the eleven tools as agents see them (tool_list: as they are listed)
    calls         what a call of one does: parse, call the operation, answer (progress: that it goes on)
    resources     the same truth under addresses; prompts; completions of both
    pointing      show a person, by a client that can, which command approves
    operations/   one function per domain verb
    board/        the page for people, as an MCP App and over HTTP
    engine/       run evaluations, land
    people/       who a person is
    preparing     give workspaces what `setup` makes
    guard         the hook on the target branch
    proofs        which gates were seen green and red
    telemetry/    traces, metrics and logs, for whoever operates it

cli/              the command line
"""
