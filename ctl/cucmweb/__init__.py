"""Gives programs on other machines the daemon's jobs, over HTTP.

A program beside `cucmctl`: to the daemon it is one local user, which speaks for others.

    main.py       command line: serve, token
    config.py     its configuration
    callers.py    PURE  the rule of who a request is of
    tokens.py     PURE  bearer tokens, and the file of them as text
    token_file.py  the file: read again at each change, written under a lock
    listening.py  the sockets: systemd's, or one of its own
    serve.py      `cucmweb serve`: systemd and signals; puts the parts together
    server.py     HTTP/1.1 at these sockets, by h11: connections, and a request with its reply
    operations.py  PURE  the paths, each with its method of the daemon: a table
    application.py  a request: who may make it, and what answers at its path
    exchange.py   one request: what it asks of the daemon, and the reply in pieces
    asking.py     PURE  a path, a query and a body -> the parameters of a method
    answers.py    how each form of reply is sent, an export among them
    liveness.py   whether the daemon answers, also while a reply in pieces says nothing
    places.py     how many event streams and downloads may be open
    events.py     server-sent events: one watch of the daemon, and a stream to each reader
    kept_events.py  PURE  the newest of them, from which every stream reads
    problems.py   PURE  what goes wrong, as a problem document
    openapi.py    PURE  the document of all paths, made from the table and the structs
"""
