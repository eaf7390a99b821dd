"""The only rooms that know asyncio, asyncssh and trio_asyncio; what they hand out is plain trio.

    bridge.py       the asyncio loop inside trio, and the one way across
    algorithms.py   what is offered to nodes and accepted from them, legacy additions apart
    known_hosts.py  nodes' host keys: remembered, compared, forgotten
    scan.py         a node's host keys, looked at without a login
    unread.py       what a peer makes us keep by not reading
    link.py         a connection to a node, from the socket to its end; login.py who we are there
    shell.py        a node's command line over it
    receiver.py     the SFTP server that nodes push their files to

Imports nothing, so that whoever needs the bridge alone does not load asyncssh.
"""
