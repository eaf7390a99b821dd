"""The Python interface to the daemon, over its socket.

    client.py    `Client`: a method for each of the daemon's
    case_calls.py  its methods about what a job has collected
    calls.py     makes its calls, over one connection
    once.py      a call that is made again after a broken connection, with one effect
    cluster.py   the nodes of a cluster, before a job is started on them
    reconnect.py  a watch that goes on after a restart of the daemon
    events.py    what happens to jobs, over restarts of the daemon
    export_stream.py  `Export`, the bytes of a job's tar as they come
    wire.py      frames out, replies in, over one Unix socket
    errors.py    an exception for each error on the wire
    refusals.py  the exception for an error reply, and the fields of errors
    service.py   why the service does not start, if systemd knows

Programs import from `cucmctl` itself, which loads this on first use.
"""
