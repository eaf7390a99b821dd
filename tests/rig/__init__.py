"""Runs daemons, labs and OpenSSH nodes as processes, for tests and benchmarks. See README.md."""
