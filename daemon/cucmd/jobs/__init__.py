"""Runs jobs, from the request to the record that survives it.

    supervisor.py   accepts jobs, finds them, cancels them, resumes them after a restart
    errors.py       why a call for a job is refused
    at_once.py      what keeps calls at once apart: places for jobs, start keys, holds
    hold_back.py    a login is tried on two nodes of a cluster at most before it has worked on one
    run.py          one job, from its acceptance to its last closed connection
    services.py     what every job needs of the daemon; limits for what runs at once
    together.py     what nodes share that work together: they begin at the same moment
    node_work.py    the work on one node: what it reports to its job, and what its end means
    recorder.py     a job's changes, to the store and then to the watchers
    events.py       changes, numbered, to bounded subscribers
    filing.py       the received files of a job, put on record: in the store
    manifest.py     the list of a job's files in its directory, written as it closes
    deletion.py     deletes jobs: those named, those that a rule means, what a stop has left
    recovery.py     the jobs that a stop left unfinished or unclosed, and their files

What is durable when:

    the job was accepted        it is in the store (`supervisor.py`)
    `cancel` returns            the nodes' states are in the store
    a watcher sees a state      the state is in the store
    a run is over               all states and files are on record, except where the daemon stops
                                while the disk takes nothing, and after a defect
After that, if all is on record, the supervisor writes the manifest, and marks the job in the store
as closed. A job that is not marked is looked at by the next start (`recovery.py`).

Nothing here depends on what is done on a node. That is a function, `JobServices.work_on_node`.
"""
