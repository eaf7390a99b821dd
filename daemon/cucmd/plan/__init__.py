"""Makes a job from a request, and a task for each of its nodes.

planner.py         the job, its tasks and their logins; refuses what can be refused
kept_logins.py     keeps logins in memory, each for one user and for some nodes
targets.py         PURE  the nodes for which the names of a request stand
known_clusters.py  PURE  what the configuration and the nodes say about clusters
resolve.py         PURE  fills in absent fields of a request, from profile and configuration
labels.py          PURE  checks the labels of a job
"""
