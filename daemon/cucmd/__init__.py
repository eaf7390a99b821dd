"""Collects the logs of every node of a Cisco Unified CM cluster, at once.

This is the map of the daemon. The file imports nothing heavy, because `cucmctl` imports it too.

    main.py         command line: serve (default), check, demo, lab
    service/        the process: opens all parts from the bottom up; signals, systemd, access rights
    config/         TOML and environment -> frozen structs, or the first error with its key
    protocol/       requests, replies and errors of the socket
    api/            one function for each method of the socket
    plan/           a request and the configuration -> a job and the tasks of its nodes
    varlink/        Varlink: framing (PURE) and a server loop that knows nothing about jobs
    jobs/           supervisor, a running job, its record, recovery after a restart
    cases/          what happens to the files of an ended job: export, verification, deletion
    worker/         starts and confines the processes that handle bytes from nodes and strangers
    reading/        reads traces, captures and archives, and sends exports, in such processes
    work/           what is done on one node, one file for each kind of work
    node/           a session on one node: login, dialogue, deadlines, transcript, ports
    receiver/       the SFTP server that nodes push their files to
    ssh/            the SSH client: bridge to asyncio, link, shell, known hosts
    vos/            PURE  the node's command line: bytes in, events out
    store/          SQLite: what survives a restart
    job/            PURE  job and node states, transitions, the outcome of a job
    failure.py      PURE  the codes of failures of nodes, with advice
    node_name.py    PURE  reads and normalizes the names of nodes
    received_file.py  PURE  describes one received file, from the upload to the store
    histogram.py    PURE  counts durations in buckets, for monitoring
    allowance.py    limits of bytes that several node runs share
    durable.py      writes files that survive a power failure complete, or not at all
    paths.py        default paths; used by `cucmctl` too
    toml_file.py    TOML file -> structs, or the first error; used by `cucmweb` too
    stdout.py       exit codes of a command that cannot write to standard output

The simulated nodes and the demo are in a separate package, `cucmlab`, which only `main.py` loads.

Only `ssh/` and `receiver/` use asyncio and asyncssh. No lower part imports a higher one:
`tests/unit/test_architecture.py` compares the imports with this map.
"""

__version__ = "0.2.0"
