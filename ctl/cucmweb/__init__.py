"""cucmweb: the daemon's jobs over HTTP, for programs on other machines.

A program beside `cucmctl`: to the daemon it is one local user, which speaks for others.

    main.py       command line: serve, token
    config.py     its configuration
    reading.py    PURE  TOML -> a struct, or what is wrong with it
    callers.py    PURE  the rule of who a request is of
    admission.py  the same, by the tokens and the time of that moment
    tokens.py     PURE  bearer tokens, and the file of them as text
    token_file.py      the file: read again at each change, written under a lock
    token_commands.py  `cucmweb token`
    listening.py  the sockets: systemd's, or one of its own
    process.py    the process of `cucmweb serve`: log, systemd, signals
    serve.py      HTTP; only this one knows the web stack
"""
