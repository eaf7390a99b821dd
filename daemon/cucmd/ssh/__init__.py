"""SSH both ways. Besides the lab only these rooms know asyncio, asyncssh and trio_asyncio; what
they hand out is plain trio.

    bridge.py       the asyncio loop inside trio, and the one way across
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

From a node:

    receiver.py     the SFTP server that nodes push their files to
    received.py     PURE  limits with their reasons; what is handed out; refusals
    box_path.py     PURE  a path as the client names it -> plain names
    sftp_packets.py PURE  the protocol on the wire
    login_guard.py  PURE  wrong logins, and connections without one
    server_keys.py  host keys, made once
    visitor.py      a connection: login, and what it may ask for
    tcp_feed.py     its bytes, on their way into asyncssh
    sftp_session.py its SFTP session: event loop <-> worker thread
    sftp_desk.py    what is answered to each request (in the thread, as all below)
    upload.py       one file while it arrives
    box_folder.py   the folder that nothing leads out of
    ledger.py       what has come, and what may still come
    free_space.py   the floor of free space
    drop_box.py     all of that for one node run

Imports nothing, so that whoever needs the bridge alone does not load asyncssh.
"""
