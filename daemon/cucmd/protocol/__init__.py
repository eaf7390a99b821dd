"""Declares the structs that travel on the socket as `io.cucmd.Jobs`. The daemon and the clients use
them.

    jobs.py        jobs, in full and in lists, and their changes
    requests.py    requests about jobs
    cases.py       what a job has collected: files, output, exports, deletion
    knowledge.py   clusters, profiles, credentials, host keys
    figures.py     figures for monitoring
    errors.py      the fields of each error
    methods.py     the methods, each with its request and its reply

The file io.cucmd.Jobs.varlink is made from these structs and their docs. What a job is asked to do,
and what it returns for a node, is declared in `job/`. These modules import nothing but msgspec and
`job/`, so that a client loads nothing else. Modules that every `cucmctl` decodes (jobs.py, and the
structs of `job/` in it) do not use `from __future__ import annotations`, because msgspec would have
to compile each annotation from text, which takes time at every start.
"""
