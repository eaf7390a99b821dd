"""The methods of the socket, one function a method.

    interface.py   `io.cucmd.Jobs`: its methods, each with its structs and its function
    methods.py     those about jobs
    case_methods.py  those about what a job has collected
    knowledge.py   those about clusters, profiles and credentials
    host_keys.py   those about host keys
    reload.py      the method that reads the configuration again
    watching.py    the streams of Watch
    listing.py     PURE  which jobs a request for a list means
    pruning.py     PURE  which jobs a request to prune means
    start_key.py   PURE  the key by which the same call, made twice, has one effect
    request_id.py  the id by which a caller finds a call again
    wire.py        PURE  jobs as structs of the socket
    refusals.py    exceptions of the daemon as errors of the socket
    text.py        makes the text of the interface from its structs

A reply is given when its effect is durable.
"""
