-- Times are nanoseconds since 1970 (UTC).

-- +goose Up

ALTER TABLE runs ADD COLUMN workflow TEXT NOT NULL DEFAULT ''; -- the template's name; empty: none

-- Of the runs that have a template, so that the others do not pay for it.
CREATE INDEX runs_by_workflow ON runs (tenant, workflow, created_at, id) WHERE workflow <> '';

-- What runs may use in the place of a call, in the order in which it was written.
-- It belongs to the tenant and not to a run.
CREATE TABLE cached (
    place   INTEGER NOT NULL PRIMARY KEY,
    tenant  TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    expires INTEGER NOT NULL,
    bytes   INTEGER NOT NULL, -- of tenant, key and output
    output  TEXT    NOT NULL,
    UNIQUE (tenant, key)
);

-- To find what has expired, and to add up the bytes without reading outputs.
CREATE INDEX cached_by_expiry ON cached (expires, bytes);
