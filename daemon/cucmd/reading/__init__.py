"""Reads files that nodes have made, in processes of their own (`worker/`), never in the daemon.

node_traces.py      a process that says which part of the window the files of one node cover
packets.py          a process that counts the packets in captures
completeness.py     a process that checks whether a gzip, and the tar in it, is whole
job_files.py        processes that send an export, and that compare files with their checksums
find.py             processes that search files for lines
traces.py           the first and last time stamps of one file or archive
stamps.py           PURE  time stamps in the lines of traces
number_search.py    PURE  lines with a directory number
call_search.py      PURE  the identifiers of a call, and the lines with them
unpack.py           PURE  gzip and tar, in pieces
trace_files.py      PURE  a trace, its files, and what their names tell
window_coverage.py  PURE  which parts of a window the time stamps cover, and which are missing
coverage_text.py    PURE  writes this as one line of text
"""
