"""Jobs, from the request to the record that survives it.

    supervisor.py   accepts jobs, finds them, cancels them, resumes them after a restart
    errors.py       why a call for a job is refused
    places.py       the places for jobs, of which a user has so many
    start_keys.py   one effect for each start key of a user
    holds.py        which jobs are being read, and which are being changed
    hold_back.py    a login is tried on two nodes at most before it has worked on one
    run.py          one job, from its acceptance to its last closed connection
    services.py     what every job needs of the daemon
    together.py     what nodes share that work together: they begin at the same moment
    node_work.py    the work on one node, and what its end means for the job
    progress.py     what the work on one node reports to its job
    recorder.py     a job's changes, to the store and then to the watchers
    events.py       changes, numbered, to bounded subscribers
    limits.py       limits for jobs, connections and sessions at once
    filing.py       the received files of a job, put on record: in the store and in the manifest
    manifest.py     the file with a line for each received file
    closing.py      marks a job as closed
    restart.py      the jobs that a stop left unfinished or unclosed
    deletion.py     deletes jobs: those named, those that a rule means, what a stop has left
    recovery.py     puts on record the files that a stop left on disk

Nothing here depends on what is done on a node. That is a function, `JobServices.work_on_node`.
"""
