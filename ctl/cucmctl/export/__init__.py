"""Exports a job's files as one file to hand on, or as a folder.

export.py    a job's tar into a tar, a zip or a folder
received.py  the tar of a job, as it comes
target.py    where that goes: what is not whole has no name there
"""
