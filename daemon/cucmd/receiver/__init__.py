"""Receives, as an SFTP server, the files that nodes push.

In the daemon:

    server.py       listens, and has a process for each address; how a transfer goes
    upload_target.py  one node run's login and folder, as the work on the node sees it
    processes.py    one process that receives, from its fork to its end
    received.py     what a login has received: checked, as from a stranger
    host_keys.py    the server's host keys, made once

In a process that receives, without trio:

    receiving.py    what it does, and its threads
    login.py        a one-time login: its connections, sessions and figures
    unauthenticated.py  PURE  connections that have not logged in yet
    refusals.py     what was refused: counted, and said once a minute
    connection.py   one SSH connection: its login, and its one SFTP session
    session.py      one SFTP session: event loop <-> a thread that writes
    requests.py     the reply to each request (mostly in the thread, as all below)
    upload.py       one file while it arrives, and which of its bytes were written
    accounting.py   what a login may still receive
    free_space.py   how much of the disk must stay free

In both:

    folder.py       a login's folder on disk: what the daemon opens in it, and what the process does
    limits.py       PURE  limits with their reasons; received files; refusals
    paths.py        PURE  a path as the client names it -> plain names
    packets.py      PURE  the protocol on the wire

Imports nothing, so that an import of one file does not load asyncssh.
"""
