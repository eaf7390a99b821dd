"""Gives Python programs the methods of the daemon, over its Unix socket.

    client.py         `Client`: one Python method for each method of the daemon
    methods.py        PURE  builds the calls, for this client and for the one on trio
    method_call.py    PURE  `MethodCall`: a request, and how the result is taken out of the reply
    calls.py          makes the calls over one connection
    repeatable_call.py  PURE  repeats a call that starts something without starting it twice
    named_work.py     PURE  makes the work of a job from the name of its kind, and its command
    cluster.py        asks a cluster for its nodes before a job is started on them
    reconnect.py      watches a job across a restart of the daemon
    job_events.py     PURE  turns the replies of a watch into events; none is lost or repeated
    wire.py           sends frames and receives replies over one Unix socket
    frames.py         PURE  encodes calls and decodes replies
    errors.py         one exception class for each error of the interface
    unit_state.py     finds out why nobody answers, and whether a daemon is about to come

Programs import from `cucmctl` itself, which loads this package on first use.
"""
