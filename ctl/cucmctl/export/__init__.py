"""Exports a job's files as one file to hand on, or as a folder.

    export.py    a job's tar into a tar, a zip or a folder
    received.py  the tar of a job, or its files as descriptors, as they come
    files.py     files as descriptors, hashed and packed here
    target.py    where that goes: what is not whole has no name there

What cannot be given descriptors, as where the socket is forwarded, takes the daemon's tar.
"""
