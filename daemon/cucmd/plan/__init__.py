"""From a request to a job, and to a task for each of its nodes.

planner.py     the job and its tasks; what can be refused is refused here
targets.py     PURE  what the names of a request stand for
known.py       PURE  clusters, of the configuration and as their nodes name them
resolve.py     PURE  the fields of a request, checked, with the defaults of the configuration
resolve_capture.py  PURE  those of a request to capture packets
resolve_paths.py  PURE  the paths of a request, and below which location they are
again.py       PURE  what a job that is tried again keeps of its request
labels.py      PURE  the labels of a job: what they may be
start_key.py   PURE  the key by which the same call, made twice, has one effect
logins.py      which login is sent to a node
"""
