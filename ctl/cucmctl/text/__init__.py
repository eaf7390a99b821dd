"""What people read of jobs.

render.py    jobs and nodes as plain text
table.py     PURE  tables of text, their colours, and the names in them
remarks.py   why nodes failed, their notes and gaps; what is equal is said once
listing.py   the files of a node
job_list.py  a list of jobs as a table
capture.py   PURE  what is said of a packet capture
discover.py  PURE  what a discovery has found, and a block of it for the configuration
dry_run.py   PURE  what a dry run has found, as a table
check.py     PURE  what a check has seen, as a table
health.py    PURE  the health of nodes, node by node
views.py     shows a job that is followed: as lines, as JSON, or its end alone
live.py      shows it on a terminal, redrawn
frame.py     what that shows of a job: lines that fit. Only these two load rich
window.py    the window of a collection, and what is there of it
times.py     PURE  how fast nodes send, how long a job has run and will take
"""
