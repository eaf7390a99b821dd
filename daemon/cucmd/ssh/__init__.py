"""Holds the SSH client, and what the receiver needs of SSH too. Besides these files only
`receiver/` and `cucmlab` import asyncio, asyncssh and trio_asyncio; their callers use trio alone.

    bridge.py       the asyncio loop inside trio, and how work crosses between the two
    python314.py    trio-asyncio, imported so that it works on Python 3.14 too
    algorithms.py   the algorithms for nodes and for the receiver, legacy ones apart
    library.py      how asyncssh is set up in a process
    peer.py         what of ours a peer has not read
    causes.py       why a connection failed; a node's text as a part of a message

To a node:

    known_hosts.py  nodes' host keys: remembered, compared, forgotten
    known_line.py   one line of their file
    scan.py         asks a node for its host keys, without a login
    link.py         a connection to a node, from the socket to its end; login.py the login on it
    shell.py        a node's command line over it
    inbox.py        the output of the command line, from asyncssh's callbacks to its reader

Imports nothing, so that an import of one file does not load asyncssh.
"""
