"""Declares what travels on the socket as `io.cucmd.Jobs`. Of the daemon and `cucmctl`.

    jobs.py        jobs, in full and in lists, and how they change
    requests.py    what is asked about jobs
    cases.py       what a job has collected: files, output, exports, and their end
    knowledge.py   clusters, profiles, credentials, host keys
    errors.py      the fields of each error

`io.cucmd.Jobs.varlink` is made from these structs and their docs, and what a job is
asked and gives is declared in `job/`. They import msgspec and `job/` alone: the client loads
nothing else. What every `cucmctl` decodes, `jobs.py` and the structs of `job/` in it, does without
`from __future__ import annotations`: msgspec compiles each annotation that is a text.
"""
