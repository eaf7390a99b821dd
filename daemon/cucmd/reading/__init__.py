"""Reads what nodes have made. Each function runs in a process of its own (`worker/`), never in the
daemon.

    node_traces.py      a process that says what the files of one node cover of the window
    packets.py          a process that counts the packets in captures
    completeness.py     a process that checks whether a gzip, and the tar in it, is whole
    job_files.py        processes that send an export, and that compare files with their checksums
    traces.py           the first and last time stamps of one file or archive
    stamps.py           PURE  time stamps in the lines of traces
    unpack.py           PURE  gzip and tar, in pieces
    window_coverage.py  PURE  what time stamps cover of a window, and what they do not
    coverage_text.py    PURE  the same as one line of text
"""
