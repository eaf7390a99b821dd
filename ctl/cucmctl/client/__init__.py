"""Gives Python programs the methods of the daemon, over its socket.

    client.py    `Client`: a method for each of the daemon's
    methods.py   PURE  what the methods ask, for this client and that on trio
    method_call.py  PURE  how they say it
    calls.py     makes its calls, over one connection
    once.py      PURE  what starts something has one effect
    cluster.py   the nodes of a cluster, before a job is started on them
    reconnect.py  a watch that goes on after a restart of the daemon
    events.py    PURE  what happens to jobs, over restarts of the daemon
    wire.py      frames out, replies in, over one Unix socket
    frames.py    PURE  how frames are made of calls, and replies of bytes
    errors.py    an exception for each error on the wire
    service.py   why the service does not start, if systemd knows

Programs import from `cucmctl` itself, which loads this on first use.
"""
