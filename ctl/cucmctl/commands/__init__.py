"""Holds the verbs of `cucmctl`, one file a group; each file has `COMMANDS`, from verb to `Verb`.

    start.py     `start` and `retry`
    run.py       `run`
    check.py     `check`
    health.py    `health`
    capture.py   `capture`
    follow.py    `follow`
    discover.py  `discover`
    begin.py     what those verbs share that start something
    lookup.py    what is looked up before anybody is asked for a password
    watch.py     `watch`, `wait`, `events`, and the rest of `--wait` and `--watch`
    show.py      `status` and `list`
    collected.py  `files` and `transcript`
    export.py    `export` and `verify`
    change.py    `cancel`, `stop`, `label` and `reload`
    delete.py    `delete` and `prune`
    known.py     `clusters`, `profiles`, `credentials` and `hostkeys`

A command calls the client, prints the reply, and returns an exit code. Errors of the client are
handled by `main`. A new verb is a row in `main.VERBS` and an entry in `COMMANDS`.
"""
