"""Masks archives and folders with the package `cucmmask`, which has to read every file twice.

sources.py    where the files come from: a folder, one file, a zip, a tar
bundle.py     the passes over all files: collect, mask, search; the new archive
content.py    what one file is: text, a packed file, an archive, or what cannot be masked
kept.py       keeps what the first pass has found out for the second one
processes.py  works on several files at once
pieces.py     masks texts and replies that are shown in pieces, for other programs
key.py        the key and the map of the masks, in files of the user
"""
