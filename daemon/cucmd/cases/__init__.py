"""Lists, exports, checks and deletes the files of jobs that have ended.

    files.py      the files of a job: a page at a time, which of them count, their removal
    verify.py     the files on disk, compared with their checksums
    coverage.py   what the files cover of the window that was asked for: by processes that read them
    output.py     the transcript of a node, also while it grows, and what commands have printed
    retention.py  PURE  which jobs are deleted without being named
    archive.py    a job as one tar: what is in it, how long it will be, its bytes
    exported.py   the files of that tar, in pieces, or open for a client that makes it
    names.py      PURE  the names of these files, which any system can unpack
    documents.py  PURE  the documents in it: summary.txt, SHA256SUMS, manifest.json

Nothing here holds all files of a job in memory; a job may have 100,000.
"""
