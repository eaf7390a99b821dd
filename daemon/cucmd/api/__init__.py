"""The interface of the socket, `io.cucmd.Jobs`. Its structs are shared with `cucmctl`.

    structs.py     what travels; `io.cucmd.Jobs.varlink` is the text that outsiders read
    error_structs.py  the fields of its errors
    structs_clusters.py  those of calls about clusters
    structs_commands.py  those of calls about commands and captures
    structs_captures.py  what a job says of a capture
    structs_check.py  that of a call that checks nodes
    structs_checked.py  what a check has seen
    structs_sizes.py  what a dry run has found
    structs_export.py  what follows the reply to an export by descriptors
    interface.py   `io.cucmd.Jobs`: its methods, each with its structs and its function
    methods.py     one function a method, of those about jobs
    knowledge.py   those about clusters, profiles and credentials
    known.py       PURE  clusters, of the configuration and as their nodes name them
    case_methods.py  those about what a job has collected
    deletion.py    deletes jobs: those named, those that a rule means, what a stop has left
    pruning.py     PURE  which jobs a request to prune means
    host_keys.py   those about host keys
    reload.py      the method that reads the configuration again
    resolve.py     PURE  the fields of a request, checked, with the defaults of the configuration
    resolve_capture.py  PURE  those of a request to capture packets
    resolve_paths.py  PURE  the paths of a request, and below which location they are
    request_id.py  the id by which a caller finds a call again
    watching.py    the streams of Watch
    start_key.py   PURE  the key by which the same call, made twice, has one effect
    labels.py      PURE  the labels of a job: what they may be
    listing.py     PURE  which jobs a request for a list means
    targets.py     PURE  what the names of a request stand for
    again.py       PURE  what a job that is tried again keeps of its request
    logins.py      which login is sent to a node
    planning.py    from a request to a job and the tasks of its nodes
    wire.py        PURE  jobs as structs of the interface
    refusals.py    exceptions of the daemon as errors of the interface

Nothing is imported here, and the structs import only msgspec: the client loads nothing else.
"""
