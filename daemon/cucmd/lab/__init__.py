"""Simulated nodes that behave as `vos/NODES.md` says, faults included; real SSH both ways.

    command.py     `cucmd lab`: options, the JSON line, signals, the report
    laboratory.py  open_lab: listeners, connections, who is still connected
    options.py     what can be set for the nodes
    faults.py      PURE  what can go wrong, where, how often
    tree.py        PURE  a node's files: names, ages, sizes, content
    stamps.py      PURE  the first and the last line of a trace
    selection.py   PURE  which files a `file get` or `file list` means
    texts.py       PURE  what a node says, word for word
    answers.py     PURE  what commands print: the cluster, the status, lists of files
    reports.py     PURE  what those print that report something
    editor.py      PURE  keys in, echo and lines out
    counters.py    what was seen on the nodes' side
    node.py        one node, apart from its connections
    ssh_server.py   one node at TCP and SSH: accept, log in, give a terminal
    terminal.py    one terminal: tiny echoes, questions, the pager, Ctrl-C
    console.py     one session: greeting, prompt, commands
    dialogue.py    the `file get` dialogue
    capturing.py   packet captures, and the removal of files
    captures.py    the captures of one node, and their files
    traffic.py     PURE  the packets on a node's network, and a capture of them
    push.py        the node as SFTP client
    archive.py     PURE  a .tgz as a stream

The rule: of the daemon only `ssh/bridge` is used here, and `stdout` by the command, so that a
mistake there is not answered by the same mistake here. Behind `open_lab` all is asyncio, in the
bridge's loop.
"""
