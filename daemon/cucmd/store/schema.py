"""Declares the tables, and makes an older database one of today.

    version  of
    2        0.1.0, the only one that was handed out
    6        the development before 0.2.0
    7        today

A text that was released is never edited. A database of each version is a fixture in
tests/unit/store/fixtures. Other versions were never outside, and are refused.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

# "cucm". By it a database of cucmd is known from another file of that name.
APPLICATION_ID = 0x6375636D

# `position` is the order in which jobs came. It does not depend on a clock, which can be set.
# The sums in `job` are maintained by triggers, which add the new row of a node and subtract the
# old one: they are right also where a row is written twice, and a list reads no nodes.
# `detail` is the struct of job/ as JSON. Only what a query needs has a column.
# `path` is a BLOB: a node's file name is bytes, and need not be UTF-8.
_FIRST = """
CREATE TABLE job (
    position INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    created_at TEXT NOT NULL,
    completed_at TEXT,
    nodes_total INTEGER NOT NULL DEFAULT 0,
    nodes_done INTEGER NOT NULL DEFAULT 0,
    nodes_failed INTEGER NOT NULL DEFAULT 0,
    bytes_received INTEGER NOT NULL DEFAULT 0,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX job_by_status ON job (status, position);
CREATE INDEX job_by_end ON job (completed_at);

CREATE TABLE node (
    job INTEGER NOT NULL REFERENCES job (position) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    status TEXT NOT NULL,
    bytes_received INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (job, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE file (
    job INTEGER NOT NULL REFERENCES job (position) ON DELETE CASCADE,
    node TEXT NOT NULL,
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    complete INTEGER NOT NULL,
    PRIMARY KEY (job, node, path)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER node_added AFTER INSERT ON node BEGIN
    UPDATE job SET
        nodes_total = nodes_total + 1,
        nodes_done = nodes_done + (NEW.status IN ('succeeded', 'failed', 'cancelled')),
        nodes_failed = nodes_failed + (NEW.status = 'failed'),
        bytes_received = bytes_received + NEW.bytes_received
    WHERE position = NEW.job;
END;
CREATE TRIGGER node_changed AFTER UPDATE OF status, bytes_received ON node BEGIN
    UPDATE job SET
        nodes_done = nodes_done + (NEW.status IN ('succeeded', 'failed', 'cancelled'))
            - (OLD.status IN ('succeeded', 'failed', 'cancelled')),
        nodes_failed = nodes_failed + (NEW.status = 'failed') - (OLD.status = 'failed'),
        bytes_received = bytes_received + NEW.bytes_received - OLD.bytes_received
    WHERE position = NEW.job;
END;
"""

# `closed`: a job has ended, its last connection is closed, and every received file is recorded.
# An older database does not say which of the ended jobs these are. Those that ended last are taken
# for not closed, as many as run at once by default.
_CLOSED = """
ALTER TABLE job ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
UPDATE job SET closed = 1 WHERE completed_at IS NOT NULL AND position NOT IN (
    SELECT position FROM job WHERE completed_at IS NOT NULL ORDER BY completed_at DESC LIMIT 16);
DROP INDEX job_by_end;
CREATE INDEX job_open ON job (position) WHERE NOT closed;
"""

# `collection` becomes `work`: a union, whose tag `type` names the variant. A damaged row is left as
# it is: one row that cannot be read must not prevent a start of the daemon. CASE and not AND,
# because SQLite may evaluate the right side of AND first, which fails for what is not JSON.
_WORK = """
UPDATE job SET detail = json_set(
    json_remove(detail, '$.collection'),
    '$.work', json_set(json_extract(detail, '$.collection'), '$.type', 'collect'))
WHERE CASE WHEN json_valid(detail) THEN json_type(detail, '$.collection') = 'object' END;
"""

# `target` has the names by which a job is found: those of its request, and its nodes. `label` has
# the labels once more, for the same reason. `start_key` has the keys of the calls that started a
# job or tried it again. `modified` is in seconds since 1970. `bytes_kept` is what its files take,
# once it is closed. `deletion` is set before the first of its files is deleted: 'job' and 'files'
# say what is being deleted, with or without the record; 'done' that only the record is left.
_CASES = """
ALTER TABLE job ADD COLUMN owner INTEGER;
ALTER TABLE job ADD COLUMN nodes_succeeded INTEGER NOT NULL DEFAULT 0;
UPDATE job SET nodes_succeeded = (
    SELECT count(*) FROM node WHERE node.job = job.position AND node.status = 'succeeded');

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
INSERT OR IGNORE INTO target
    SELECT job, json_extract(detail, '$.node') FROM node
    WHERE CASE WHEN json_valid(detail) THEN json_type(detail, '$.node') = 'text' END;

ALTER TABLE file ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN modified INTEGER;

ALTER TABLE job ADD COLUMN deletion TEXT;
CREATE INDEX job_in_deletion ON job (position) WHERE deletion IN ('job', 'files');
ALTER TABLE job ADD COLUMN bytes_kept INTEGER NOT NULL DEFAULT 0;
UPDATE job SET bytes_kept = (
    SELECT coalesce(sum(size), 0) FROM file WHERE file.job = job.position) WHERE closed;

DROP TRIGGER node_added;
DROP TRIGGER node_changed;
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
"""

# `kind` is the tag of the job's work; before this version there was one. `discovery` has what each
# node that was asked for its cluster has said last: it stays when the job is deleted. `asked` is
# the node in one spelling for all of its names' spellings; `detail` is the struct of nodes.py
# as JSON.
_CLUSTERS = """
ALTER TABLE job ADD COLUMN kind TEXT NOT NULL DEFAULT 'collect';
CREATE INDEX job_by_kind ON job (kind, position);

CREATE TABLE discovery (
    asked TEXT NOT NULL PRIMARY KEY,
    found_at TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

# `rate` has how fast each node has sent its files last: bytes in so many seconds. It stays when the
# job is deleted. `node` is in one spelling for all of its name's spellings.
_RATES = """
CREATE TABLE rate (
    node TEXT NOT NULL PRIMARY KEY,
    seen_at TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    seconds REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX rate_by_time ON rate (seen_at);
"""

# What a kind of work gives for a node is `result`, in place of a field for each kind; and
# `captures_before` is `may_run`. A damaged row is left as it is, as above.
_RESULT = """
UPDATE node SET detail = json_set(
    json_remove(detail, '$.found', '$.sizes', '$.checked', '$.captured', '$.captures_before'),
    '$.result', json(coalesce(
        json_extract(detail, '$.found'), json_extract(detail, '$.sizes'),
        json_extract(detail, '$.checked'), json_extract(detail, '$.captured'), 'null')),
    '$.may_run', json(coalesce(json_extract(detail, '$.captures_before'), '[]')))
WHERE CASE WHEN json_valid(detail) THEN coalesce(json_type(detail, '$.found'),
    json_type(detail, '$.sizes'), json_type(detail, '$.checked'),
    json_type(detail, '$.captured'), json_type(detail, '$.captures_before')) IS NOT NULL END;
"""

# `elapsed` has one row: how many seconds have passed for sure (cases/retention.py). `ended_after`
# is how many had at the end of a job that is closed. It was in `detail`, by the name of
# `closed_after`, and the count in a file of its own. A job without it counts as the youngest: it is
# not the first to be deleted.
_ELAPSED = """
ALTER TABLE job ADD COLUMN ended_after REAL NOT NULL DEFAULT 0;
UPDATE job SET ended_after = json_extract(detail, '$.closed_after')
WHERE CASE WHEN json_valid(detail) THEN
    json_type(detail, '$.closed_after') IN ('integer', 'real') END;
UPDATE job SET ended_after = (SELECT max(ended_after) FROM job) WHERE ended_after = 0;
CREATE TABLE elapsed (seconds REAL NOT NULL) STRICT;
INSERT INTO elapsed SELECT coalesce(max(ended_after), 0) FROM job;
"""

# A database of that version, an empty one too, becomes one of the next by it.
_STEPS = {0: _FIRST + _CLOSED, 2: _WORK + _CASES + _CLUSTERS + _RATES, 6: _RESULT + _ELAPSED}
NEWEST = 7
# And one of NEWEST by it.
UPGRADES = {
    version: "".join(step for of, step in _STEPS.items() if of >= version) for version in _STEPS
}


def version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def wrong_schema(connection: sqlite3.Connection) -> str | None:
    """Returns which table, index or trigger is not as its version has it, or None.

    SQLite does not find a changed letter in a trigger before the first write. Tables that somebody
    has added are not looked at.
    """
    version = version_of(connection)
    if not version:
        return "it has no version"
    with closing(sqlite3.connect(":memory:")) as sound:
        sound.executescript("".join(step for of, step in _STEPS.items() if of < version))
        expected = _texts(sound)
    found = _texts(connection)
    wrong = (name for name, text in expected.items() if found.get(name) != text)
    return next((f"{name} is not as it was made" for name in wrong), None)


def _texts(connection: sqlite3.Connection) -> dict[str, str]:
    """Returns name -> statement of each table, index and trigger, with single blanks."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {name: " ".join(sql.split()) for name, sql in rows}


def migrate(connection: sqlite3.Connection) -> None:
    """Makes a database one of today in one transaction: all of it is applied or nothing.

    BEGIN and COMMIT are inside the script because `executescript` commits before it starts.
    """
    version = version_of(connection)
    if version == NEWEST:
        return
    script = f"BEGIN IMMEDIATE;{UPGRADES[version]}PRAGMA user_version = {NEWEST};COMMIT;"
    try:
        connection.executescript(script)
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
