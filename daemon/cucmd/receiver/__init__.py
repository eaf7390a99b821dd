"""The SFTP server that nodes push their files to.

    server.py       listening, and which login leads where
    limits.py       PURE  limits with their reasons; what is handed out; refusals
    paths.py        PURE  a path as the client names it -> plain names
    packets.py      PURE  the protocol on the wire
    unauthenticated.py  PURE  connections that have not logged in yet
    host_keys.py    the server's host keys, made once
    connection.py   a connection: login, and what it may ask for
    tcp_feed.py     its bytes, on their way into asyncssh
    session.py      its SFTP session: event loop <-> worker thread
    requests.py     what is answered to each request (in the thread, as all below)
    upload.py       one file while it arrives
    folder.py       the folder that nothing leads out of
    accounting.py   what has come, and what may still come
    free_space.py   the floor of free space
    upload_target.py  all of that for one node run

Imports nothing, so that whoever needs one file alone does not load asyncssh.
"""
