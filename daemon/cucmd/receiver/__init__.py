"""The SFTP server that nodes push their files to.

    server.py       listens, and maps a login to its upload target; how a transfer goes
    limits.py       PURE  limits with their reasons; received files; refusals
    paths.py        PURE  a path as the client names it -> plain names
    packets.py      PURE  the protocol on the wire
    unauthenticated.py  PURE  connections that have not logged in yet
    connect_rate.py  PURE  how often an address may connect without a login
    refusals.py     what was refused: counted, and said once a minute
    repeats.py      what happens to one target again and again: said once, then counted
    host_keys.py    the server's host keys, made once
    listener.py     accepts connections, and refuses at little cost
    connection.py   one SSH connection: its login, and its one SFTP session
    session.py      one SFTP session: event loop <-> worker thread
    requests.py     the reply to each request (in the thread, as all below)
    upload.py       one file while it arrives
    written.py      PURE  which bytes of a file were written
    folder.py       the target's folder on disk, without a way out of it
    accounting.py   what a target has received, and what it may still receive
    names.py        how much memory the names of received files take
    free_space.py   how much of the disk must stay free
    upload_target.py  one node run's login, folder and accounting

Imports nothing, so that an import of one file does not load asyncssh.
"""
