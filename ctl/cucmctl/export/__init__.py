"""Writes the files of a job to one file, which can be handed on, or to a folder.

save.py      turns the tar that the daemon sends into a tar, a zip or a folder
received.py  `Export`: the stream of that tar
target.py    the file or folder that is written; it gets its name only when it is complete
"""
