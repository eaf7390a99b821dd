"""What people read of jobs.

render.py    jobs and nodes as plain text
table.py     tables of text, and their colours
remarks.py   PURE  why nodes failed, and their notes; what is equal is said once
job_list.py  a list of jobs as a table
captured.py  PURE  what is said of a packet capture
found.py     PURE  what a discovery has found, and a block of it for the configuration
checked.py   PURE  what a check has seen, as a table
views.py     shows a job that is followed: as lines, as JSON, or its end alone
live.py      shows it on a terminal, redrawn
frame.py     what that shows of a job: lines that fit. Only these two load rich
times.py     PURE  how long a job has run and will take, and how long a node has been silent
rates.py     PURE  bytes per second of each node
names.py     PURE  nodes' names, cut to a width
"""
