"""A job's files as one file to hand on, or a folder.

export.py    a job's tar into a tar, a zip or a folder
target.py    where that goes: what is not whole has no name there
"""
