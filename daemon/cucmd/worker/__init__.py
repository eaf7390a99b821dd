"""Runs worker processes, which handle bytes from nodes and strangers.

    frames.py        PURE  the messages between the daemon, the fork server and the workers
    confine.py       limits the files that a worker may open, and the resources that it may use
    seccomp.py       limits the system calls that a worker may make
    fork_server.py   the fork server: imports what the workers need, and forks them
    forked.py        a worker's end of its channel to the daemon
    workers.py       in the daemon: starts the fork server, and asks it for workers
    process.py       in the daemon: talks to one worker
    parent_end.py    ends a process when the one that has started it ends; used by `cucmctl` too

How a worker begins. The daemon starts the fork server by exec and gives it a socket, and the
environment variables PATH and PYTHONPATH: no password, no database, no socket of a client. The fork
server imports the modules of all workers once, and then forks one worker for each piece of work,
which takes a millisecond. The daemon and the worker share a socket pair, the channel, which the
fork server cannot read.

The daemon also passes open descriptors through the channel. A worker that receives files gets its
connection in this way, and each file, because the worker cannot open files itself (`receiver/`).

How a worker ends.

    the work is done        the daemon closes the channel, and the worker exits
    a cancel                the daemon kills the worker by its pidfd, whatever the worker is doing
    a limit is reached      the kernel ends the worker: memory, processor time, size of a file
    the fork server hangs   the daemon kills the fork server if it does not answer within seconds
    the fork server ends    the kernel kills all its workers (PR_SET_PDEATHSIG), and the daemon
                            starts the fork server again
    the daemon ends         the fork server sees the end of its socket, or the kernel kills it in
                            the same way

The daemon checks everything that a worker sends as if a stranger had sent it.
"""
