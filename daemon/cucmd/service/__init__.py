"""The process: it opens everything from the bottom up and closes it in the opposite order.

    daemon.py       the order in which the parts are opened; reload; status; watchdog
    wiring.py       the SSH client and the receiver, as the work on a node asks for them
    access.py       who may call which method
    signals.py      what signals do, from the first step to the last
    systemd.py      notify, watchdog, inherited sockets, credentials
    memory.py       memory that ended jobs leave behind, given back
    start_errors.py what keeps the daemon from starting, with the setting that is concerned

The one rule: only the command line imports this.
"""
