"""Makes a job of a request, and a task for each of its nodes.

    planner.py     the job, its tasks and their logins; what can be refused is refused here
    targets.py     PURE  what the names of a request stand for
    known_clusters.py  PURE  clusters, of the configuration and as their nodes name them
    resolve.py     PURE  what is asked as what is planned, with the defaults of the configuration
    labels.py      PURE  the labels of a job: what they may be

Passwords are put into the tasks and nowhere else.
"""
