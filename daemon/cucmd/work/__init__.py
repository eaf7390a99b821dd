"""What is done on one node, one file a kind of work. Each reads from top to bottom.

    collect.py   collecting log files: `file get` for each path
    discover.py  asking a node which nodes its cluster has
    check.py     whether a collection can be expected to work
    run.py       running commands that only read
    snapshot.py  some of these commands at the end of a collection
    capture.py   capturing packets: together with the other nodes, until it is ended
    capture_files.py  its files: counted, and removed from the node if asked for
    node_space.py  PURE  whether a node has room for a capture
    answer.py    a plain command and its answer
    dry_run.py   asks for the sizes of a collection
    room.py      whether what is announced fits here
    pcap.py      whether a packet capture is one, and how many packets it has
    verdict.py   PURE  what was announced against what came
    whole.py     PURE  whether a gzip, and the tar in it, is whole
    read_back.py  reads what has come to its end, in threads, in turns

A node that fails raises `NodeFailed`. However the work ends, the node's upload target is revoked
first, then its session is ended, then the connection is closed.
"""
