"""Receives, as an SFTP server, the files that nodes push.

In the daemon:

    server.py         listens and accepts; holds the upload targets
    startups.py       PURE  which connections may log in now
    served.py         one connection: its process, and the answers to what that asks
    upload_target.py  one node run's login and folder, as the work on the node sees it
    received.py       what a login has received: checked, as from a stranger
    folder.py         what the daemon opens in a login's folder (its second half: in the process)
    host_keys.py      the server's host keys, made once
    refusals.py       what was refused: counted, and said once a minute

In the process that serves one connection, without trio:

    receiving.py      from its first frame to its end
    connection.py     the SSH connection: its login, and its one SFTP session
    login.py          what the process asks of the daemon
    session.py        the SFTP session: from asyncssh's callbacks to the replies
    requests.py       the reply to each request
    upload.py         one file while it arrives
    free_space.py     how much of the disk must stay free

In both:

    frames.py         PURE  what the two say to each other
    limits.py         PURE  limits with their reasons; how a request is refused
    paths.py          PURE  a path as the client names it -> plain names
    packets.py        PURE  the protocol on the wire

How a transfer goes. There is a target for each run of a node, with a login of its own that the node
is told at its command line; the node's own sftp client then connects and pushes.

    work on a node   open_upload_target()    -> UploadTarget: login, folder
    node             connects                the daemon accepts, and has a process forked for this
                                             connection, as sshd does
    the process      key exchange, password  presents the login and password that the client sent;
                                             the daemon checks them, once for all of the connection
                     OPEN                    the daemon makes the file, lists it, hands it over
                     WRITE                   written and hashed, as far as the daemon has granted
                     CLOSE                   synced; the daemon is told; then the client is answered
    work on a node   reads the target's counters and files() at any time; aclose() at its end

The process knows no login in advance, and opens no file. It asks one thing at a time and waits for
the answer: so whatever a client was told, the daemon knows. Only one thread runs in it, and a disk
that is slow keeps nobody waiting but the client that writes to it.

Who may end what.

    the client      closes: what it sent before is still written, then open files are given up
    revoke()        by the work on the node: cancel, timeout, or a run that has ended. The login is
                    refused, and the processes of its connections are killed
    aclose()        revoke(), and waits until they have ended; after it, files() changes no more
    a process       cuts a connection that has not logged in within `login_timeout`, that has tried
                    three wrong passwords, or that does not read its replies. One that ends by
                    itself fails its login (receiver_lost), and no other
    the daemon      cuts a connection that has not logged in, for others that wait (`Startups`)

What is durable when.

    WRITE answered     nothing: the bytes are in the page cache
    CLOSE answered OK  the file and its name: both are synced before the reply. Only now the file
                       counts as received
    anything else      a connection that ends, a disk that is full, a revoked target: the file
                       stays on disk as far as it came, and is reported as incomplete

Imports nothing, so that an import of one file does not load asyncssh.
"""
