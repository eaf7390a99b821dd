"""What is done on one node, from the first SYN to the closed connection.

    procedure.py     the whole of it, step by step
    login.py         reaching the first prompt, with retries
    conversation.py  the shell driven by the vos machine
    transcript_file.py  what was said, on disk as it happens
    pace.py          how fast a node may talk
    clocks.py        deadlines that move with the phase, and what their expiry means
    verdict.py       PURE  what was announced against what came
    zones.py         time zones by the names that nodes give them
    doors.py         what this room needs of the rooms below, as protocols

The one rule: a node that fails raises `NodeFailed`, and however this room is left, the node's
drop box is revoked first, then its session ended politely, then the connection closed.
"""
