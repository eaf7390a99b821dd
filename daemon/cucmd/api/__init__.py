"""Holds the methods of the socket, one function a method.

    interface.py   `io.cucmd.Jobs`: its methods, each with its structs and its function
    methods.py     those about jobs, with the streams of Watch
    case_methods.py  those about what a job has collected
    export_methods.py  those that read all of a job
    knowledge.py   those about clusters, profiles and credentials, and Reload
    host_keys.py   those about host keys
    requests.py    PURE  what requests mean: a list, a prune, the key of a start
    wire.py        PURE  jobs as structs of the socket
    refusals.py    exceptions of the daemon as errors of the socket, with the id of the call

A reply is given when its effect is durable.
"""
