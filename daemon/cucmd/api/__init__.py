"""The vocabulary of the socket. `structs` is shared with `cucmctl` and imports only msgspec.

Nothing is imported here, so that the client pays for the structs alone.
"""
