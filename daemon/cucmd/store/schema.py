"""Declares the tables of the database, and their version.

There is one schema and no migration. Whoever changes the tables, or a struct that is stored as JSON
in a `detail` column, must increase `VERSION`. A database of another version is refused
(`database.py`). One of this version with other tables counts as damaged, and is moved aside.
"""

# "cucm" in ASCII. It marks the databases of cucmd, so that another file of that name is noticed.
APPLICATION_ID = 0x6375636D
VERSION = 10

# job        `position` is the order in which jobs were added. It does not depend on a clock, which
#            can be set. `detail` is the struct of job/ as JSON, without its nodes: only what a
#            query needs has a column of its own. Triggers maintain the sums over the nodes, so that
#            lists do not have to read the nodes. A trigger adds the new row of a node and subtracts
#            the old one, so the sums stay right if a row is written twice. `closed` means that the
#            job has ended, its last connection is closed, and every received file is recorded.
#            `bytes_kept` is the size of its files then, `ended_after` the count of elapsed seconds
#            at its end (cases/retention.py). `deletion` is set before the first of its files is
#            deleted: 'job' if the whole job is being deleted, 'files' if only its files are. 'done'
#            means that its files are deleted.
# node       `detail` is the struct of job/ as JSON.
# file       `path` is a BLOB, because a node's file name is bytes and need not be UTF-8. `modified`
#            is in seconds since 1970.
# start_key  The keys of the calls that started or retried a job.
# label      The labels of the jobs.
# target     The names by which a job is found: those in its request, and its nodes.
# discovery  The last answer of each node that was asked for its cluster, as a JSON struct of
#            node_sql.py. `asked` is the node in one spelling for all of the spellings of its names.
#            A discovery stays when the job is deleted.
# elapsed    One row with the count of elapsed seconds (`Store.elapsed`).
TABLES = """
CREATE TABLE job (
    position INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_at TEXT NOT NULL,
    completed_at TEXT,
    revision INTEGER NOT NULL,
    nodes_total INTEGER NOT NULL DEFAULT 0,
    nodes_done INTEGER NOT NULL DEFAULT 0,
    nodes_succeeded INTEGER NOT NULL DEFAULT 0,
    nodes_failed INTEGER NOT NULL DEFAULT 0,
    bytes_received INTEGER NOT NULL DEFAULT 0,
    closed INTEGER NOT NULL DEFAULT 0,
    bytes_kept INTEGER NOT NULL DEFAULT 0,
    ended_after REAL NOT NULL DEFAULT 0,
    deletion TEXT,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX job_by_status ON job (status, position);
CREATE INDEX job_by_kind ON job (kind, position);
CREATE INDEX job_open ON job (position) WHERE NOT closed;
CREATE INDEX job_in_deletion ON job (position) WHERE deletion IN ('job', 'files');

CREATE TABLE node (
    job INTEGER NOT NULL REFERENCES job (position) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    bytes_received INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (job, position)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER node_added AFTER INSERT ON node BEGIN
    UPDATE job SET
        nodes_total = nodes_total + 1,
        nodes_done = nodes_done + (NEW.status IN ('succeeded', 'failed', 'cancelled')),
        nodes_succeeded = nodes_succeeded + (NEW.status = 'succeeded'),
        nodes_failed = nodes_failed + (NEW.status = 'failed'),
        bytes_received = bytes_received + NEW.bytes_received
    WHERE position = NEW.job;
END;
CREATE TRIGGER node_changed AFTER UPDATE OF status, bytes_received ON node BEGIN
    UPDATE job SET
        nodes_done = nodes_done + (NEW.status IN ('succeeded', 'failed', 'cancelled'))
            - (OLD.status IN ('succeeded', 'failed', 'cancelled')),
        nodes_succeeded = nodes_succeeded + (NEW.status = 'succeeded')
            - (OLD.status = 'succeeded'),
        nodes_failed = nodes_failed + (NEW.status = 'failed') - (OLD.status = 'failed'),
        bytes_received = bytes_received + NEW.bytes_received - OLD.bytes_received
    WHERE position = NEW.job;
END;

CREATE TABLE file (
    job INTEGER NOT NULL REFERENCES job (position) ON DELETE CASCADE,
    node TEXT NOT NULL,
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    complete INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    modified INTEGER,
    PRIMARY KEY (job, node, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE start_key (
    owner INTEGER NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    job INTEGER NOT NULL REFERENCES job (position) ON DELETE CASCADE,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX start_key_by_job ON start_key (job);

CREATE TABLE label (
    job INTEGER NOT NULL REFERENCES job (position) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (job, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX label_by_value ON label (name, value, job);

CREATE TABLE target (
    job INTEGER NOT NULL REFERENCES job (position) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (job, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX target_by_name ON target (name, job);

CREATE TABLE discovery (
    asked TEXT NOT NULL PRIMARY KEY,
    found_at TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE elapsed (seconds REAL NOT NULL) STRICT;
INSERT INTO elapsed VALUES (0);
"""
