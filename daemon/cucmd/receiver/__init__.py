"""Receives, as an SFTP server, the files that nodes push.

In the daemon:

    server.py             listens and accepts connections; holds the upload targets
    startups.py           PURE  decides which connections may log in now
    served_connection.py  runs the process of one connection, and answers its requests
    upload_target.py      the login and folder of one node run, as the work on the node sees them
    login_files.py        the files of a login; checks what the processes report about them
    folder.py             opens files and folders of a login; `TargetFolder` is for the process
    host_keys.py          the server's own host keys, which are made once
    refusal_log.py        counts what was refused, and logs it once a minute

In the process that serves one connection, without trio:

    receiving.py          the process, from its first message to its end
    connection.py         the SSH connection: its login, and its one SFTP session
    daemon_client.py      the requests of the process to the daemon
    sftp_session.py       the SFTP session: from asyncssh's callbacks to the replies
    sftp_requests.py      answers each SFTP request
    upload.py             writes one file while it arrives
    free_space.py         keeps a part of the disk free

In both:

    messages.py           PURE  the messages between the daemon and the process
    limits.py             PURE  the limits and their reasons; how a request is refused
    client_paths.py       PURE  turns a client's path into plain names
    sftp_packets.py       PURE  the protocol on the wire

How a transfer goes. Each run of a node has an upload target with a login of its own. The node is
told the login at its command line, and then its own sftp client connects and pushes.

    work on a node   open_upload_target()    returns an UploadTarget: login and folder
    node             connects                the daemon accepts, and has a process forked for this
                                             connection, as sshd does
    the process      key exchange, password  sends the daemon the name and password that the client
                                             has sent; the daemon checks them
                     OPEN                    the daemon makes the file, lists it, and sends the
                                             process its descriptor
                     WRITE                   the process writes and hashes the bytes, as many as the
                                             daemon has granted
                     CLOSE                   the process syncs the file and reports it to the
                                             daemon, and then replies to the client
    work on a node   reads the target's counters and files() at any time; calls aclose() at its end

The process knows no login in advance and opens no file. It sends the daemon one request at a time
and waits for the answer, so the daemon knows everything that the client was told. A slow disk
delays only the client that writes to it, because each client has its own process.

Who can end a transfer.

    the client      closes the connection: the bytes that have arrived are still written, and the
                    files that are open stay incomplete
    revoke()        called by the work on the node after a cancel, a timeout, or the end of the run:
                    refuses the login, and kills the processes of its connections
    aclose()        calls revoke() and waits until the processes have ended; after that files()
                    changes no more
    the process     cuts a client that has not logged in within `login_timeout`, that has sent three
                    wrong passwords, or that does not read its replies. A process that ends by
                    itself fails its own login (receiver_lost) and no other
    the daemon      cuts a connection that has not logged in, if others wait (`Startups`)

What is durable when.

    reply to WRITE  nothing yet: the bytes are in the page cache
    CLOSE answered  the file and its name: both are synced before the reply OK. Only now the file
                    counts as received
    anything else   if a connection ends, a disk is full or a target is revoked, the file stays on
                    disk as far as it came, and is reported as incomplete

This module imports nothing, so that importing one of the files does not load asyncssh.
"""
