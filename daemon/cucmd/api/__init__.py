"""The interface of the socket, `io.cucmd.Jobs`. `structs` is shared with `cucmctl`.

    structs.py     what travels, with the comments of the interface
    interface.py   `io.cucmd.Jobs`: its text, made from the structs, and its methods bound
    methods.py     one function a method; host_keys.py has those about host keys
    resolve.py     PURE  the fields of a request, checked, with the defaults of the configuration
    planning.py    from a request to a job and the tasks of its nodes
    wire.py        PURE  jobs as structs of the interface
    refusals.py    exceptions of the daemon as errors of the interface

Nothing is imported here, and `structs` imports only msgspec: the client loads nothing else.
"""
