-- Files that were asked for. request: as it was sent, JSON; facts: what is known of the file,
-- JSON. A job that is running has a lease; one that ran out is anyone's.
CREATE TABLE exports (
    export_id   TEXT    PRIMARY KEY,
    idempotency_key TEXT UNIQUE,
    request     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    tries       INTEGER NOT NULL,
    facts       TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    finished_ms INTEGER,
    expires_ms  INTEGER,
    leased_by   TEXT,
    leased_until_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX exports_open ON exports (created_ms) WHERE state IN ('queued', 'running');
