"""A session on one node, from the first SYN to the closed connection.

    login.py         reaching the first prompt, with retries
    dialogue.py      the shell driven by the vos machine
    transcript_file.py  what was said, on disk as it happens
    pace.py          how fast a node may talk
    deadlines.py     deadlines that move with the phase, and what their expiry means
    zones.py         time zones by the names that nodes give them
    resolver.py      names of nodes in the DNS
    ports.py         what the work on a node needs of `ssh/` and `receiver/`, as protocols

The one rule: nothing here knows what the work on the node is for.
"""
