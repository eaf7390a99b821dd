"""A hub for sites that dial out: `cucmhub` beside nats-server, `cucmagent` beside each `cucmd`.

    cucmctl, cucmweb -- socket --> cucmhub --> NATS JetStream <-- cucmagent -- socket --> cucmd

The hub speaks `io.cucmd.Jobs` on its own socket, so its clients need not know that it is a hub.
Neither `cucmd` nor its clients know anything about NATS. Nothing in NATS is the only copy: what was
asked is in the hub's files, and what came of it in the database of the site's daemon.

    messages.py     PURE  what is written into NATS, and under which subjects
    jetstream.py    talks to NATS, with nats-py in an asyncio loop
    hub.py          runs the hub: its socket, its streams, commands out, states in
    hub_methods.py  answers the calls of the hub's socket
    board.py        what the hub knows of all jobs and sites, and who watches it
    view.py         PURE  puts the states of the sites together to jobs
    agent.py        runs the agent: carries out commands at the daemon, reports its jobs
    uploads.py      uploads the files of jobs that have ended to targets of the site
    keys.py         keys of the sites, and their rights at nats-server
    config.py       reads the configuration files of both
    main.py         the command lines of both
"""
