"""The verbs of `cucmctl`, one file a group; each file has `COMMANDS`, from verb to `Command`.

The one rule: a command asks the client, renders what came, and returns an exit code; errors of
the client go through to `main`. A new verb is a row in `main.VERBS` and an entry in `COMMANDS`.
"""
