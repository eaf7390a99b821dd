"""The verbs of `cucmctl`, one file a group; each file has `COMMANDS`, from verb to `Command`.

    start.py     `start`
    follow.py    `watch`, `wait`, and `start` once the job is there
    show.py      `status` and `list`
    cancel.py    `cancel`
    hostkeys.py  `hostkeys`

The one rule: a command asks the client, renders what came, and returns an exit code; errors of
the client go through to `main`. A new verb is a row in `main.VERBS` and an entry in `COMMANDS`.
"""
