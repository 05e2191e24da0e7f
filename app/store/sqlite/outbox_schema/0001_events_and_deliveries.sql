-- What is to be told to whom. Not derived, so that a rebuild leaves it alone.

-- How far events were taken over: those that the projection raised before announced_seq of
-- the log; and the number of the next event.
CREATE TABLE relay (
    relay_no    INTEGER PRIMARY KEY CHECK (relay_no = 1),
    next_event_no INTEGER NOT NULL,
    announced_seq INTEGER NOT NULL
) STRICT;

-- Events in the order in which they are told. event_id is the same for the same cause.
CREATE TABLE events (
    event_no    INTEGER PRIMARY KEY,
    event_id    TEXT    NOT NULL UNIQUE,
    type        TEXT    NOT NULL,
    run_uid     TEXT    NOT NULL,
    subject     TEXT,
    time_ms     INTEGER NOT NULL,
    action_name TEXT,
    scheduled_run_uid TEXT,
    data        TEXT    NOT NULL
) STRICT;

CREATE INDEX events_by_run ON events (run_uid, event_no) WHERE run_uid <> '';

CREATE INDEX events_by_time ON events (time_ms);

-- Where events go. config: JSON, see app/notify/endpoint.py; secrets: sealed JSON. version
-- rises with each change. A replica has the deliveries of an endpoint to itself while it
-- leases it; with SQLite there is only one.
CREATE TABLE endpoints (
    endpoint_id TEXT    PRIMARY KEY,
    state       TEXT    NOT NULL CHECK (state IN ('active', 'paused', 'disabled')),
    reason      TEXT,
    config      TEXT    NOT NULL,
    secrets     TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL,
    failing_since_ms INTEGER,
    delivered_ms INTEGER
) STRICT, WITHOUT ROWID;

-- An event on its way to an endpoint. tries: since it was last asked for; attempts: in all.
-- event_no is 0 for a test, which has no event.
CREATE TABLE deliveries (
    delivery_id TEXT    PRIMARY KEY,
    run_uid     TEXT    NOT NULL,
    endpoint_id TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    event_no    INTEGER NOT NULL,
    type        TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    due_ms      INTEGER NOT NULL,
    tries       INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    finished_ms INTEGER,
    last_status INTEGER,
    last_problem TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_ms, event_no)
    WHERE state = 'pending';

CREATE INDEX deliveries_pending_of_runs ON deliveries (endpoint_id, run_uid, event_no)
    WHERE state = 'pending';

CREATE INDEX deliveries_of_endpoints ON deliveries (endpoint_id, delivery_id);

CREATE INDEX deliveries_of_runs ON deliveries (run_uid, delivery_id) WHERE run_uid <> '';

CREATE INDEX deliveries_failed ON deliveries (endpoint_id, delivery_id) WHERE state = 'failed';

CREATE INDEX deliveries_of_events ON deliveries (event_no);

CREATE INDEX deliveries_settled ON deliveries (finished_ms) WHERE state <> 'pending';

-- One try. answer: the beginning of what the receiver said.
CREATE TABLE attempts (
    run_uid     TEXT    NOT NULL,
    delivery_id TEXT    NOT NULL,
    attempt_no  INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    took_ms     INTEGER NOT NULL,
    status      INTEGER,
    problem     TEXT,
    answer      TEXT    NOT NULL,
    PRIMARY KEY (run_uid, delivery_id, attempt_no)
) STRICT, WITHOUT ROWID;
