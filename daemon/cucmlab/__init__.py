"""Simulates nodes that behave as `vos/NODES.md` says, faults included; real SSH both ways.

    command.py       `cucmd lab`: options, the JSON line, signals, the report
    laboratory.py    open_lab: listeners, connections, who is still connected
    options.py       what can be set for the nodes, and their algorithms
    faults.py        PURE  what can go wrong, where, how often
    node.py          one node, apart from its connections; what was seen on its side
    files.py         PURE  its files: names, ages, sizes, content, an archive of them
    selection.py     PURE  which files a `file get` or `file list` means
    texts.py         PURE  what a node says, word for word
    answers.py       PURE  what commands print: the cluster, the status, reports, lists of files
    support.py       PURE  what those print that support asks for: certificates, backups, cores
    captures.py      packet captures: their arguments, the packets, their files
    ssh_server.py    one node at TCP and SSH: accept, log in, give a channel
    console.py       one channel: greeting, prompt, one command after the other
    terminal.py      tiny echoes, questions, the pager, Ctrl-C
    session.py       what runs in the foreground, and the faults on the way
    commands.py      what each command does
    get_dialogue.py  the `file get` dialogue
    push.py          the node as SFTP client
    demo.py          `cucmd demo`: one job from start to end against the lab

A package beside `cucmd`, which loads it for `cucmd lab` and `cucmd demo`. It imports only
`ssh/bridge`, `stdout` and `paths` of the daemon, so that a mistake of the daemon is not answered
by the same mistake here. What `open_lab` starts runs on asyncio, in the bridge's loop.
"""
