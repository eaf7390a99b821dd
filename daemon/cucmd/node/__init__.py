"""Runs a session on one node, from the first packet to the closed connection.

    dialogue.py         the session: bytes in, events out, answers back; read this first
    session_start.py    connects and logs in, with retries, up to the first prompt
    transcript_file.py  writes the transcript to disk while the session runs
    file_writer.py      the thread that writes transcripts, and the lines that `follow` keeps
    deadlines.py        the deadlines of a session, how progress extends them, and their failures
    resolver.py         looks up names of nodes in the DNS, and names of time zones
    ports.py            protocols: what work on a node needs from `ssh/`, `receiver/` and `jobs/`

Nothing in this package knows the purpose of the work on the node.
"""
