"""Reads what nodes have made, in a process of its own for each node (`worker/`).

    node.py      what the files of one node cover of the window: what such a process does
    traces.py    the first and last stamps of one file or archive
    packets.py   how many packets captures have: what another such process does
    whole.py     whether a gzip, and the tar in it, is whole: what a third one does
    exported.py  sends an export to its client, or compares files with their checksums: a fourth one
    stamps.py    PURE  time stamps in traces
    unpack.py    PURE  gzip and tar, in pieces
    covered.py   PURE  what stamps cover of a window, and what they do not
    in_words.py  PURE  the same as one line

Nothing of it runs in the daemon.
"""
