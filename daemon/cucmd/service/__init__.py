"""Runs the process: opens everything from the bottom up and closes it in the opposite order.

    daemon.py       the order in which the parts are opened; watchdog
    current_config.py  the configuration in force, what is derived from it, and a reload
    wiring.py       the SSH client and the receiver, as the work on a node asks for them
    readers.py      has processes read what nodes have made
    access.py       who may call which method
    own_process.py  what each signal does; core dumps; memory that is not used any more
    systemd.py      notify, status, watchdog, inherited sockets
    log.py          the lines of the log, and how many of them one user can cause
    start_errors.py errors at the start, with the setting that they come from

Only the command line imports this.
"""
