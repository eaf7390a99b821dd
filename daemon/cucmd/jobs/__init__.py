"""Runs jobs, from the request to the record that survives the job.

    supervisor.py     accepts jobs, finds and cancels them, and resumes them after a restart
    concurrent_calls.py  keeps concurrent calls for jobs from interfering with each other
    job_errors.py     why a call for a job is refused
    job_run.py        one job, from its acceptance to its last closed connection
    services.py       the parts of the daemon that every job uses, and limits for all jobs
    login_trials.py   a login is tried on at most two nodes of a cluster before it has worked there
    joint_run.py      nodes that begin at the same moment, and that one call ends
    node_work.py      the work on one node: what it reports to its job, and what its end means
    recorder.py       saves the changes of a job, and then publishes them
    job_counts.py     counts ends of jobs and nodes, and how long their phases take
    job_feed.py       delivers changes to subscribers, numbered and bounded
    file_recorder.py  records the received files of a job in the store
    manifest.py       the list of a job's files in its directory, written when the job closes
    late_names.py     names nodes of jobs that were started before the discovery of their cluster
    deletion.py       deletes jobs: by name, by a rule, and after an interrupted deletion
    recovery.py       the jobs that a stop left unfinished or unclosed, and their files

What is durable when:

    the job was accepted        the job is in the store (`supervisor.py`)
    `cancel` returns            the states of the nodes are in the store
    a watcher sees a state      the state is in the store
    a run is over               all states and files are in the store, except if the daemon stops
                                while the disk takes nothing, and after a defect

If everything is in the store when the run is over, the supervisor writes the manifest and marks the
job in the store as closed. The next start looks at each job that is not marked (`recovery.py`).

The work on a node is the function `JobServices.work_on_node`, which `service/` passes in. This
package does not import that work.
"""
