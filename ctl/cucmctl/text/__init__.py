"""Turns jobs and nodes into text for people. Nothing is printed here, except by the views.

render.py      a job and its nodes as plain text
kind_text.py   the text that depends on the kind of work of a job: `KindText`, the base class
capture_text.py   PURE  its subclass for packet captures
check_text.py     PURE  its subclass for checks, and their table
collect_text.py   its subclass for collections
discover_text.py  PURE  its subclass for discoveries; also the block for the configuration
dry_run_text.py   its subclass for dry runs, and the table of sizes
health_text.py    PURE  its subclass for health checks, and their findings
table.py       PURE  tables, their colours, and names that are cut to fit
long_text.py   the phases of each node, and what each of its logs covers
remarks.py     why nodes failed, their notes, and gaps in what they sent; equal lines appear once
listing.py     the files of a node
found_text.py  lines that were found in files, and what could not be searched
job_list.py    a table of jobs
views.py       what is shown while a job is followed: lines, JSON, or only the end
running.py     what runs now, of all jobs
metrics.py     figures of the daemon in the text format of Prometheus
live.py        the view that redraws a terminal
frame.py       one picture of that view. Only these two files load rich
top_view.py    running.py on a terminal, with live.py
window.py      the time window of a collection
progress_line.py  how far a long transfer is, in one line
pace.py        PURE  how fast nodes send, how long a job has run and will still take
"""
