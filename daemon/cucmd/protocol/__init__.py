"""What travels on the socket as `io.cucmd.Jobs`. Of the daemon and `cucmctl`.

    structs.py     requests and replies; `io.cucmd.Jobs.varlink` is the text that outsiders read
    error_structs.py  the fields of its errors
    structs_clusters.py  calls about clusters
    structs_commands.py  calls about commands and captures
    structs_captures.py  what a job says of a capture
    structs_check.py  a call that checks nodes
    structs_checked.py  what a check has seen
    structs_sizes.py  what a dry run has found
    structs_export.py  what follows an export by descriptors

The structs import only msgspec, the standard library and one another: the client loads nothing
else.
"""
