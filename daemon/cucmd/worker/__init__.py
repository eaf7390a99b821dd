"""Has processes handle bytes that a node or a stranger has made.

    frames.py    PURE  what the daemon, the first process and those that it forks say to each other
    confine.py   the files that they may open, and how much they may use
    seccomp.py   the system calls that they may make
    first.py     the first process: imports what the others need, and forks them
    forked.py    a process that was forked: its end of the channel
    workers.py   the daemon's side: keeps the first process, and asks it for others
    process.py   the daemon's side of one that was forked

How they come to be. The daemon starts the first process by exec, with a socket pair to it and
nothing else: no password, no database, no socket of a client, no environment but the path of
programs. It imports what the others need, once, and forks one for each piece of work, which costs a
millisecond. The daemon and the one that was forked share a socket pair, the channel; the first
process has no part in what they say.

Descriptors are given through the channel too: what receives files gets its connection so, and each
file that the daemon opens for it, since it can open none itself (`receiver/`).

How they end.

    the work is done      the daemon closes the channel: the process ends
    a cancel              the daemon kills it by its pidfd, whatever it does at that moment
    a limit               the kernel ends it: memory, processor time, size of a file
    the first hangs       the daemon kills it where it does not answer within seconds
    the first process     what it has forked ends with it (PR_SET_PDEATHSIG); it is started again
    the daemon            the first process sees the end of its socket, or is killed by the same

What comes from such a process is checked like what comes from a stranger.
"""
