"""The verbs of `cucmctl`, one file a group; each file has `COMMANDS`, from verb to `Command`.

    start.py     `start`
    run.py       `run`
    printed.py   what commands print, as it comes
    check.py     `check`
    capture.py   `capture` and `stop`
    dry_run.py   what follows `start --dry-run`
    discover.py  `discover`
    retry.py     `retry`
    begin.py     what those verbs share that start something
    on_nodes.py  what those share that start a job on nodes and clusters
    login.py     the login of a new job
    ask_first.py  clusters are asked for their nodes before a start
    lookup.py    what is looked up before anybody is asked for a password
    follow.py    `watch`, `wait`, and the rest of `--wait` and `--watch`
    show.py      `status` and `list`
    files.py     `files`
    export.py    `export`
    verify.py    `verify`
    transcript.py  `transcript`
    label.py     `label`
    events.py    `events`
    cancel.py    `cancel`
    delete.py    `delete` and `prune`
    known.py     `clusters`, `profiles` and `credentials`
    hostkeys.py  `hostkeys`
    reload.py    `reload`

A command calls the client, prints the reply, and returns an exit code. Errors of the client are
handled by `main`. A new verb is a row in `main.VERBS` and an entry in `COMMANDS`.
"""
