"""Answers the methods of the socket, with one function for each method.

    jobs_interface.py     says which function answers which method of `io.cucmd.Jobs`
    interface.py          makes the interface from such functions, also for the hub
    job_methods.py        methods about jobs
    watching.py           the streams of Watch, also for the hub
    case_methods.py       methods about what a job has collected
    export_methods.py     methods that read all of a job
    figure_methods.py     Figures, for monitoring
    find_methods.py       searches the files of a job
    knowledge_methods.py  methods about clusters, profiles and credentials, and Reload
    host_key_methods.py   methods about host keys
    missing_logs.py       PURE  which files are missing for the searched time
    request_checks.py     PURE  checks requests: a list, a prune, the key of a start
    wire.py               PURE  turns jobs into structs of the socket
    refusals.py           turns exceptions into errors of the socket, and gives each call an id

A reply is sent only when the effect of its call is durable.
"""
