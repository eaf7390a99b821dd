"""Simulates nodes as `vos/NODES.md` describes them, with faults, over real SSH in both directions.

    command.py       `cucmd lab`: options, the JSON line, signals, the report
    laboratory.py    open_lab: listeners and connections
    options.py       the settings of the nodes, and their SSH algorithms
    faults.py        PURE  the faults: their kinds, the steps where they happen, how often
    node.py          one node without its connections, and its counters
    files.py         PURE  the files of a node: names, ages, sizes, content, archives
    selection.py     PURE  which files the arguments of `file get` and `file list` select
    texts.py         PURE  the texts that a node prints, word for word
    answers.py       PURE  the output of commands: cluster, status, reports, lists of files
    support.py       PURE  the output of commands for support: certificates, backups, core files
    captures.py      packet captures: their arguments, the packets, their files
    ssh_server.py    the SSH server of one node: it accepts, logs in, opens channels
    console.py       one channel: greeting, prompt, one command after the other
    terminal.py      echo, questions, the pager, Ctrl-C
    session.py       the foreground of a session, and its faults
    commands.py      what each command does
    get_dialogue.py  the `file get` dialogue
    push.py          the node as SFTP client
    demo.py          `cucmd demo`: one job from start to end against the lab
    hub_demo.py      `cucmhub demo`: a hub and three sites, each with a lab

`cucmd lab` and the demos load this package, which stands beside `cucmd`. It imports only
`ssh/bridge`, `stdout` and `paths` of the daemon: with shared code, the lab would make the same
mistakes as the daemon, and no test would notice. Everything that `open_lab` starts runs on asyncio,
in the loop of the bridge.
"""
