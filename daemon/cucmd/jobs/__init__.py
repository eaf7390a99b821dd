"""Jobs, from the request to the record that survives it.

    supervisor.py   accepts jobs, finds them, cancels them, takes them up again
    run.py          one job while it lives
    node_work.py    the work on one node, and what its end means for the job
    progress.py     what the work on one node tells its job
    recorder.py     a job's changes, to the store and then to the watchers
    events.py       changes, numbered, to bounded subscribers
    limits.py       who may run now: limits over jobs, connections, sessions
    filing.py       the received files of a job, put on record: in the store and in the manifest
    manifest.py     the file with a line for each received file
    recovery.py     what a stop left on disk, put on record

The one rule: what is done on a node is handed in; nothing here knows it.
"""
