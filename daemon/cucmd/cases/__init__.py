"""Lists, exports, checks and deletes the files of jobs that have ended.

    files.py      the files of a job: a page at a time, which of them count, their removal
    verify.py     the files on disk, compared with their checksums, by a process that reads them
    damaged.py    PURE  which files were found to differ
    coverage.py   what the files cover of the window that was asked for: by processes that read them
    output.py     the transcript of a node, also while it grows, and what commands have printed
    retention.py  PURE  which jobs are deleted without being named
    archive.py    a job as one tar: what is in it, how long it will be, its parts
    sending.py    sends that tar, by a process that has the connection of the client
    names.py      PURE  the names of these files, which any system can unpack
    documents.py  PURE  the documents in it: summary.txt, SHA256SUMS, manifest.json

Nothing here holds all files of a job in memory; a job may have 100,000.
"""
