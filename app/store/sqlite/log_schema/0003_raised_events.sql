-- Events raised by what is written here, in the transaction that causes them. They wait here
-- until they are in the outbox.
CREATE TABLE raised_events (
    raised_no   INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id    TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    run_uid     TEXT    NOT NULL,
    subject     TEXT,
    time_ms     INTEGER NOT NULL,
    action_name TEXT,
    scheduled_run_uid TEXT,
    data        TEXT    NOT NULL
) STRICT;
