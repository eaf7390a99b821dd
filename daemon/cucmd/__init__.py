"""cucmd: the logs of every node of a Cisco Unified CM cluster, at once.

The map of the house. Imports nothing heavy, because `cucmctl` passes through here.

    main.py         command line: serve (default), check, demo, lab
    stdout.py       what becomes of a command that cannot write to it
    paths.py        where things are when nobody says otherwise; `cucmctl` asks it too
    config/         TOML and environment -> frozen structs, every error with its key
    service.py      puts the daemon together: store, receiver, socket, supervisor
    signals.py      what signals do, from the first step to the last
    cannot_start.py what keeps it from starting, in the words of the configuration
    access.py       who may do what at the socket
    memory.py       memory that ended jobs leave behind, given back
    durable.py      files that are whole and on the disk, or not there
    jobs/           supervisor, one job while it lives, its record, recovery
    work/           what is done on one node, one file a kind of work
    node/           a session on one node: login, dialogue, deadlines, transcript, ports
    ssh_doors.py    the SSH rooms, as the work on a node wants them
    job.py          PURE  job and node states, transitions, the outcome of a job
    failure.py      PURE  what went wrong, and what to do about it
    node_name.py    PURE  how a node is named
    allowance.py    bytes that several node runs may use up together
    store/          SQLite: what survives a restart
    systemd.py      notify, watchdog, inherited sockets, credentials
    api/            the vocabulary of the socket, one function a method
    varlink/        the wire: framing (PURE) and a server loop that knows nothing of jobs
    vos/            PURE  the node's command line
    ssh/            the SSH client: asyncio, made trio; shell, known hosts
    receiver/       the SFTP server that nodes push their files to; asyncio, made trio
    lab/            simulated nodes, faults included; asyncio too
    demo.py         all of it once, against the lab

No arrow points back up: `tests/unit/test_architecture.py` holds this picture against the imports.
"""

__version__ = "0.1.0"
