-- Times are nanoseconds since 1970 (UTC), 0 for none; money is in nano-dollars.

-- +goose Up

-- What a tenant has spent in a period, and what its calls under way hold.
CREATE TABLE budgets (
    tenant TEXT    NOT NULL,
    period INTEGER NOT NULL, -- its start
    spent  INTEGER NOT NULL,
    held   INTEGER NOT NULL, -- the sum of its holds
    PRIMARY KEY (tenant, period)
) WITHOUT ROWID;

-- Only of runs that have not ended.
CREATE TABLE holds (
    run     TEXT    NOT NULL,
    command TEXT    NOT NULL, -- its key
    call    INTEGER NOT NULL, -- from 1, within the command
    tenant  TEXT    NOT NULL,
    period  INTEGER NOT NULL,
    cost    INTEGER NOT NULL,
    PRIMARY KEY (run, command, call)
) WITHOUT ROWID;

-- The webhook outbox, in the order of its messages' commits.
CREATE TABLE deliveries (
    place       INTEGER NOT NULL PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    tenant      TEXT    NOT NULL,
    run         TEXT    NOT NULL,
    seq         INTEGER NOT NULL, -- of the event that it tells of
    type        TEXT    NOT NULL,
    time        INTEGER NOT NULL, -- of the event
    status      TEXT    NOT NULL, -- of the run, after the event
    url         TEXT    NOT NULL,
    state       TEXT    NOT NULL, -- pending, delivered or dead
    tries       INTEGER NOT NULL,
    next        INTEGER NOT NULL, -- when a pending one is due
    last_try    INTEGER NOT NULL,
    last_status INTEGER NOT NULL, -- HTTP's, 0 for none
    last_error  TEXT    NOT NULL
);

CREATE INDEX deliveries_due ON deliveries (next, place) WHERE state = 'pending';
CREATE INDEX deliveries_by_state ON deliveries (tenant, state, place);
CREATE INDEX deliveries_by_run ON deliveries (run, place);

-- For retention.
CREATE INDEX runs_by_end ON runs (ended_at) WHERE ended = 1;
