-- What Edges last said of each schedule, and over time. Not derived from callbacks, so that a
-- rebuild leaves it alone. judged_ms: see app/store/views.py.
CREATE TABLE schedules (
    schedule_uid TEXT   PRIMARY KEY,
    status      TEXT    NOT NULL,
    action_name TEXT,
    record      TEXT    NOT NULL,
    phases      TEXT    NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    told_ms     INTEGER NOT NULL,
    judged_ms   INTEGER NOT NULL
) STRICT;

-- Iterations that should have come and did not: each is told of once.
CREATE TABLE missed_iterations (
    schedule_uid TEXT   NOT NULL,
    due_ms      INTEGER NOT NULL,
    noted_ms    INTEGER NOT NULL,
    PRIMARY KEY (schedule_uid, due_ms)
) STRICT, WITHOUT ROWID;

-- When somebody last took it on to do what is to be done every so often.
CREATE TABLE turns (
    name        TEXT    PRIMARY KEY,
    taken_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
