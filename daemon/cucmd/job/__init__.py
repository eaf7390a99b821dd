"""PURE. Holds jobs and their nodes: what a job does, its states, their transitions, and its
outcome.

A state is a type with exactly the fields that exist in it, a transition is a method that returns a
new job, and an impossible transition raises `ImpossibleTransition`.

    node   pending -> running -> succeeded | failed | cancelled
    job    queued  -> running -> ended, with an outcome: succeeded, partial, failed, cancelled;
                                 then closed -> files deleted -> deleted

A node is *settled* once it has succeeded, failed or was cancelled. A settled node never changes
its state again; so a task of a node that was cancelled at the same moment has no effect. A job
ends when its last node settles, in the same transition. After a restart a job is queued again
and its unsettled nodes are pending again; both keep the time at which they first began.

Times are of the wall clock and in UTC. If the clock is set back, nothing ends before it began.

    kind.py      what every kind of work says of itself
    work.py      the kinds, each once: what is asked, what is planned and stored, what is given
    work_request.py  how work on nodes is asked for, which also travels on the socket
    request.py   what every call may have, whatever it asks for
    collect.py   files that are collected, or how much they would be
    coverage.py  what files cover of a window
    cluster.py   what is known of a node of a cluster
    discover.py  which nodes a cluster has
    run.py       commands
    check.py     whether a collection can be expected to work
    capture.py   packets
    follow.py    a file while it grows
    failure.py   why a node failed
    node.py      a node of a job, and its states
    attempt.py   how an earlier attempt on a node ended
    job.py       a job, its states and its outcome
    status.py    the names of these states
    duration.py  durations as they are written in a request
    timeouts.py  its deadlines

Nothing is imported here: the client needs some of these modules, and loads no other.
"""
