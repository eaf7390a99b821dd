"""Lists, exports, checks and deletes the files of jobs that have ended.

    files.py            lists the files of a job by pages, selects those that count, removes them
    verify.py           compares the files on disk with their checksums, in a process
    finder.py           searches files by several processes, and merges what they find
    damaged.py          PURE  remembers which files differ from what was received
    coverage_reader.py  has processes find out which part of its window a job covers
    output.py           reads the transcript of a node and the output of commands while they grow
    retention.py        PURE  chooses the jobs that a rule or a request deletes
    archive.py          a job as one tar: its content, its length, its parts
    export_sender.py    has a process send that tar over the connection of the client
    names.py            PURE  names for the files in the tar that any system can unpack
    documents.py        PURE  the documents in the tar: summary.txt, SHA256SUMS, manifest.json

Nothing here holds all files of a job in memory, since a job may have 100,000.
"""
