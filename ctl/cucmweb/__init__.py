"""Serves the daemon's jobs over HTTP, for programs on other machines.

`cucmweb` is a program beside `cucmctl`. To the daemon it is one local user that makes calls on
behalf of others.

    main.py             command line: serve, token
    config.py           the configuration
    authentication.py   PURE  decides who made a request
    tokens.py           PURE  bearer tokens, and the text of the token file
    token_file.py       reads the token file again after each change; writes it under a lock
    listeners.py        the listening sockets: those of systemd, or a new one
    serve.py            `cucmweb serve`: systemd and signals; puts the parts together
    server.py           HTTP/1.1 with h11: connections, and each request with its reply
    operations.py       PURE  the table of paths, each with its method of the daemon
    application.py      refuses a request, or passes it to the function for its path
    assistants.py       /mcp, for assistants, with the server of `cucmmcp`
    exchange.py         one request: its call to the daemon, and its reply
    parameters.py       PURE  a path, a query and a body -> the parameters of a method
    replies.py          how each form of reply is sent, exports among them
    daemon_liveness.py  whether the daemon answers, also while a long reply is silent
    places.py           how many event streams and downloads may be open
    event_streams.py    server-sent events: one watch of the daemon feeds all streams
    kept_events.py      PURE  the newest events, from which every stream reads
    problems.py         PURE  errors as problem documents
    handover.py         PURE  a handover, and the command of cucmctl that does it
    handovers.py        hands jobs over to targets of the configuration
    page/               the page below /ui/, for people with a browser
    demo.py             `cucmweb demo`: the page with simulated nodes
    openapi.py          PURE  /openapi.json, made from the table of paths and the structs
"""
