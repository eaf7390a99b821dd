"""Collects the logs of every node of a Cisco Unified CM cluster, at once.

The map of the daemon. Imports nothing heavy, because `cucmctl` imports it too.

    main.py         command line: serve (default), check, demo, lab
    service/        the process: opens everything from the bottom up; signals, systemd, access
    config/         TOML and environment -> frozen structs, the first error with its key
    protocol/       the words of the socket: requests, replies, errors
    api/            one function a method of the socket
    plan/           a request and the configuration -> a job, and the tasks of its nodes
    varlink/        the wire: framing (PURE) and a server loop that knows nothing of jobs
    jobs/           supervisor, one job while it lives, its record, recovery
    cases/          what becomes of a job that has ended: its files, exported and checked
    worker/         processes for bytes that others have made
    reading/        reads what nodes have made, in such a process, and sends exports
    work/           what is done on one node, one file a kind of work
    node/           a session on one node: login, dialogue, deadlines, transcript, ports
    receiver/       the SFTP server that nodes push their files to
    ssh/            the SSH client: bridge to asyncio, link, shell, known hosts
    vos/            PURE  the node's command line: bytes in, events out
    store/          SQLite: what survives a restart
    job/            PURE  job and node states, transitions, the outcome of a job
    failure.py      PURE  what went wrong, and what to do about it
    node_name.py    PURE  how a node is named
    received_file.py  PURE  one received file, from the upload to the store
    allowance.py    bytes that several node runs may use up together
    durable.py      files that are complete and on the disk, or not there
    paths.py        where files are by default; `cucmctl` asks it too
    toml_file.py    a file in TOML -> structs, or the first mistake; `cucmweb` reads with it too
    stdout.py       what becomes of a command that cannot write to standard output

The simulated nodes and the demo are a package of their own, `cucmlab`, which only `main.py` loads.

Only `ssh/` and `receiver/` know asyncio and asyncssh. No import points up:
`tests/unit/test_architecture.py` holds this map against the imports.
"""

__version__ = "0.2.0"
