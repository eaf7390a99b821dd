"""Runs the process: opens all parts from the bottom up and closes them in the opposite order.

    daemon.py          opens the parts in order; watchdog
    current_config.py  the current configuration, what is derived from it, and reloading it
    wiring.py          gives the SSH client and the receiver the form that the work on a node needs
    readers.py         lets worker processes read what nodes have sent
    access.py          decides who may call which method
    own_process.py     signals, core dumps, and returning unused memory
    systemd.py         notify, status, watchdog, inherited sockets
    log.py             formats the log, and limits how many records one user can cause
    start_errors.py    errors at the start, with the setting that they come from

Only the command line imports this package.
"""
