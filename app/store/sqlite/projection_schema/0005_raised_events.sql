-- Events raised by what was derived up to `next_seq` of the log, in the transaction that causes
-- them. They wait here until they are in the outbox, which says how far it has taken them.
CREATE TABLE raised_events (
    next_seq    INTEGER NOT NULL,
    place       INTEGER NOT NULL,
    event_id    TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    run_uid     TEXT    NOT NULL,
    subject     TEXT,
    time_ms     INTEGER NOT NULL,
    action_name TEXT,
    scheduled_run_uid TEXT,
    data        TEXT    NOT NULL,
    PRIMARY KEY (next_seq, place)
) STRICT, WITHOUT ROWID;
