-- Files that were asked for. request: query parameters, as JSON; facts: what is known of the
-- file, as JSON.
CREATE TABLE exports (
    export_id   TEXT    PRIMARY KEY,
    idempotency_key TEXT UNIQUE,
    request     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    tries       INTEGER NOT NULL,
    facts       TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    finished_ms INTEGER,
    expires_ms  INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX exports_open ON exports (created_ms) WHERE state IN ('queued', 'running');
