"""Leads a session on one node, from the first SYN to the closed connection.

    dialogue.py      the session: bytes in, events out, answers back; read this first
    session_start.py   from nothing to the first prompt, with retries
    transcript_file.py  what both sides sent, on disk as it happens
    file_writer.py   the thread that writes it, and what `follow` keeps
    deadlines.py     deadlines that move with the phase or what comes, and what their expiry means
    resolver.py      names of nodes in the DNS, and of time zones
    ports.py         what the work on a node needs of `ssh/` and `receiver/`, as protocols

Nothing here knows what the work on the node is for.
"""
