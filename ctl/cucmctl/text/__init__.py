"""Makes what people read of jobs.

render.py    jobs and nodes as plain text
kind.py      what of that depends on what a job does, or else a file of the name of its kind
table.py     PURE  tables of text, their colours, and the names in them
remarks.py   why nodes failed, their notes and gaps; what is equal is said once
listing.py   the files of a node
job_list.py  a list of jobs as a table
views.py     shows a job that is followed: as lines, as JSON, or its end alone
live.py      shows it on a terminal, redrawn
frame.py     what that shows of a job: lines that fit. Only these two load rich
window.py    the window of a collection, and what is there of it
times.py     PURE  how fast nodes send, how long a job has run and will take
"""
