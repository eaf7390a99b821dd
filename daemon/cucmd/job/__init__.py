"""PURE. Holds the vocabulary of jobs and their nodes: what can be asked, what a node gives, states
and transitions.

A state is a type with exactly the fields that exist in it. A transition is a method that returns a
new job or node. An impossible transition raises `ImpossibleTransition`.

    node   pending -> running -> succeeded | failed | cancelled
    job    queued  -> running -> ended, with an outcome: succeeded, partial, failed, cancelled;
                                 then closed -> files deleted -> deleted

A node is *settled* once it has succeeded, failed or was cancelled. A settled node never changes its
state again. So if a node is cancelled at the moment in which its task ends, the end of the task has
no effect. A job ends when its last node settles, in the same transition. After a restart a job is
queued again, and its unsettled nodes are pending again; both keep the time at which they first
began.

Times are wall-clock times in UTC. If the clock is set back, nothing ends before it began.

    work_request.py  what a caller asks to be done on nodes, as it travels on the socket
    request.py       the parameter of every method: the user on whose behalf a program calls
    kind.py          what every kind of work declares about itself
    work.py          the list of all kinds of work: as requested, as stored, and their results
    collect.py       a collection of files, and a dry run, which asks how large it would be
    coverage.py      which part of a time window the collected files cover
    cluster.py       what is known of a node of a cluster
    discover.py      a discovery, which asks a node for the nodes of its cluster
    run.py           a run of commands
    check.py         a check whether a collection can be expected to work
    capture.py       a capture of packets
    follow.py        a file that is followed while it grows
    health.py        a check whether nodes are well
    failure.py       why a node failed
    node.py          a node of a job, and its states
    attempt.py       how an earlier attempt on a node ended
    job.py           a job, its states and its outcome
    status.py        the names of the states
    duration.py      durations as they are written in a request
    timeouts.py      the deadlines of a job

This file imports nothing: the client needs some of these modules, and loads no others.
"""
