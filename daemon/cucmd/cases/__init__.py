"""What becomes of a job that has ended: its files are listed, exported, checked.

    files.py      the files of a job: a page at a time, which of them count, their removal
    verify.py     the files on disk, compared with their checksums
    coverage.py   what the files cover of the window that was asked for: when it is looked at
    read_traces.py  the stamps of one file or archive
    covered.py    PURE  stamps against the window, in words
    stamps.py     PURE  the stamps in a trace
    unpack.py     PURE  gzip and tar in pieces
    output.py     the transcript of a node, also while it grows, and what commands have printed
    retention.py  PURE  which jobs are deleted without being named
    archive.py    a job as one tar: what is in it, how long it will be, its bytes
    exported.py   the files of that tar, in pieces, or open for a client that makes it
    documents.py  PURE  the documents in it: summary.txt, SHA256SUMS, manifest.json

Nothing here holds all files of a job in memory; a job may have 100,000.
"""
