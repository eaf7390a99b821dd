"""cucmweb: the daemon's jobs over HTTP, for programs on other machines.

A program beside `cucmctl`: to the daemon it is one local user, which speaks for others.

    config.py     its configuration
    tokens.py     PURE  bearer tokens, and the file of them as text
    callers.py    PURE  who a request is of
    reading.py    PURE  TOML -> a struct, or what is wrong with it
"""
