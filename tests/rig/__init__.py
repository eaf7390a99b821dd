"""What system tests and benchmarks use: real daemons, labs and OpenSSH nodes, as processes.

Everything that is started here is stopped by the context that started it. What a process has open
can be read from it.
"""
