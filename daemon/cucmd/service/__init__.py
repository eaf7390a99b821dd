"""The process: it opens everything from the bottom up and closes it in the opposite order.

    daemon.py       the order in which the parts are opened; status; watchdog
    in_force.py     the configuration in force, what is derived from it, and a reload
    wiring.py       the SSH client and the receiver, as the work on a node asks for them
    reading.py      the files of a reload, read in a thread for a limited time
    retention.py    when [retention] is applied
    status.py       what `systemctl status` shows: jobs, and a reload that failed
    access.py       who may call which method
    signals.py      what each signal does, from the first step to the last
    systemd.py      notify, watchdog, inherited sockets, logging for the journal, core dumps
    private.py      the folder of a socket that only the daemon's own user can enter
    log_limit.py    the log lines of one user in a minute
    memory.py       memory that is not used any more, returned to the system
    start_errors.py errors at the start, with the setting that they come from

Only the command line imports this.
"""
