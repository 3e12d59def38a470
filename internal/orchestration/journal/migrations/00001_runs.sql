-- Times are nanoseconds since 1970 (UTC), 0 for none. The tenant is a column of
-- every table.

-- +goose Up

-- One row a run: what lists show. Written once with the run, then its status,
-- seq, progress and times with each commit. seq is the fence.
CREATE TABLE runs (
    id         TEXT    NOT NULL PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    ended      INTEGER NOT NULL, -- 1 when the status is never left
    seq        INTEGER NOT NULL,
    progress   TEXT    NOT NULL, -- JSON: [total, running, succeeded, failed, skipped]
    started_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    simulated  INTEGER NOT NULL,
    labels     TEXT    NOT NULL, -- JSON object, or null
    task       TEXT    NOT NULL
) WITHOUT ROWID;

CREATE INDEX runs_newest ON runs (tenant, created_at, id);
CREATE INDEX runs_by_status ON runs (tenant, status, created_at, id);
CREATE INDEX runs_unfinished ON runs (created_at, id) WHERE ended = 0;

-- One row a commit, which holds its events. They lie in the order of their
-- arrival, those of all runs together: so a group of commits fills few pages, at
-- the end of the table.
CREATE TABLE commits (
    run    TEXT    NOT NULL,
    seq    INTEGER NOT NULL, -- of its last event
    first  INTEGER NOT NULL, -- seq of its first event
    tenant TEXT    NOT NULL,
    events TEXT    NOT NULL, -- JSON: [{seq, time, type, subtask, attempt, progress, data}, …]
    PRIMARY KEY (run, seq)
);

-- The labels once more, to list runs by them: newest first within each label.
CREATE TABLE labels (
    tenant     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    run        TEXT    NOT NULL,
    PRIMARY KEY (tenant, name, value, created_at, run)
) WITHOUT ROWID;

CREATE INDEX labels_by_run ON labels (run);

CREATE TABLE keys (
    tenant TEXT NOT NULL,
    key    TEXT NOT NULL,
    hash   BLOB NOT NULL, -- SHA-256 of the request's body
    run    TEXT NOT NULL UNIQUE,
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID;

CREATE TABLE attachments (
    run    TEXT    NOT NULL,
    place  INTEGER NOT NULL, -- in the spec's list, from 0
    tenant TEXT    NOT NULL,
    bytes  BLOB    NOT NULL,
    PRIMARY KEY (run, place)
);
