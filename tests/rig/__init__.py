"""What system tests and benchmarks stand on: real daemons, labs and OpenSSH nodes, as processes.

The one rule: whatever is started here is stopped by the context that started it, and what it
left open can be asked for.
"""
