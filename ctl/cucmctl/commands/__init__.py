"""Holds the verbs of `cucmctl`. Each file has `COMMANDS`, a table from verb to `Verb`.

    start.py      `start` and `retry`
    run.py        `run`
    check.py      `check`
    health.py     `health`
    capture.py    `capture`
    follow.py     `follow`
    discover.py   `discover`
    login.py      `login` and `logout`
    begin.py      shared by the verbs that start a job
    lookup.py     checks names before anybody is asked for a password
    watch.py      `watch`, `wait` and `events`; also what `--wait` and `--watch` do
    show.py       `status` and `list`
    top.py        `top`
    collected.py  `files` and `transcript`
    find.py       `find`; also the search of `export --found`
    export.py     `export` and `verify`
    upload.py     `upload`; also what `export --upload` does
    mask.py       `mask` and `unmask`; also what `export --mask` does
    change.py     `cancel`, `stop`, `label` and `reload`
    delete.py     `delete` and `prune`
    metrics.py    `metrics`
    sites.py      `sites` and `bridge`
    known.py      `clusters`, `profiles`, `credentials` and `hostkeys`
    complete.py   what shells ask for when Tab is pressed; no verb for people

A verb calls the client, prints the reply, and returns an exit code. `main` handles the errors of
the client. A new verb needs a row in `main.VERBS` and an entry in `COMMANDS`.
"""
