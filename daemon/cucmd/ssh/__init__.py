"""The SSH client, and what the receiver needs of SSH too. Besides these files only `receiver/` and
`lab/` know asyncio, asyncssh and trio_asyncio; what they hand out is plain trio.

    bridge.py       the asyncio loop inside trio, and the one way across
    python314.py    trio-asyncio, imported so that it works on Python 3.14 too
    algorithms.py   what is offered to nodes and accepted from them, legacy additions apart
    unread.py       what a peer makes us keep by not reading
    timers.py       cancelled timers of the asyncio loop, let go of
    policy.py       PURE  how strict we are with a node
    wording.py      PURE  a node's words, made fit for a message of ours
    causes.py       why there is no connection: an error -> a node's failure

To a node:

    known_hosts.py  nodes' host keys: remembered, compared, forgotten
    known_line.py   PURE  one line of their file
    scan.py         a node's host keys, looked at without a login
    link.py         a connection to a node, from the socket to its end; login.py who we are there
    shell.py        a node's command line over it
    inbox.py        what it says, from asyncssh's callbacks to its reader

Imports nothing, so that whoever needs the bridge alone does not load asyncssh.
"""
