"""The vocabulary of the socket. `structs` is shared with `cucmctl` and imports only msgspec.

    structs.py     what travels, with the comments of the interface
    interface.py   `io.cucmd.Jobs`: its text, made from the structs, and its methods bound
    methods.py     one function a method; host_keys.py has those about host keys
    resolve.py     PURE  a request measured against the configuration
    planning.py    from a request to a job and the tasks of its nodes
    wire.py        PURE  jobs as the socket shows them
    refusals.py    what the rooms below raise, as the errors that the socket promises

Nothing is imported here, so that the client pays for the structs alone.
"""
