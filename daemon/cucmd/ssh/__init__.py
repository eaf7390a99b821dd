"""Connects to nodes by SSH. Some of its files also serve the receiver.

Besides the files of this package only `receiver/` and `cucmlab` import asyncio, asyncssh and
trio_asyncio. Their callers use trio alone.

Used for connections to nodes and by the receiver:

    bridge.py           runs an asyncio loop inside trio, and passes calls from trio to it
    python314.py        imports trio-asyncio so that it works on Python 3.14 too
    algorithms.py       lists the algorithms, modern ones and legacy ones
    asyncssh_setup.py   configures asyncssh once in a process
    unread_bytes.py     counts the bytes that a peer has not read
    causes.py           turns errors of a connection into failures of a node

For connections to nodes:

    known_hosts.py      remembers, compares and forgets the host keys of nodes
    known_line.py       parses one line of the known_hosts file
    scan.py             asks a node for its host keys, without a login
    link.py             owns a connection to a node, from the socket to its end
    node_login.py       checks the node's host key and sends the password
    shell.py            opens a node's command line on such a connection
    inbox.py            keeps the output of the command line until it is read

This module imports nothing, so that importing one of the files does not load asyncssh.
"""
