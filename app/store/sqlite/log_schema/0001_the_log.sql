-- The log: what was received, append-only, and the truth from which all else is derived.

-- Runs by number, since a number is what every other row carries.
CREATE TABLE runs (
    run_no      INTEGER PRIMARY KEY,
    run_uid     TEXT    NOT NULL UNIQUE,
    duplicates  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Bodies in order of arrival. A segment holds callbacks of one run that were committed
-- together: one compressed frame for all of them (a third of the size and of the writing
-- that a frame for each would take), small enough to read one body out of it quickly.
-- Its callbacks are numbered from first_seq on.
CREATE TABLE segments (
    first_seq   INTEGER PRIMARY KEY,
    run_no      INTEGER NOT NULL REFERENCES runs (run_no),
    callbacks   INTEGER NOT NULL,
    frame       BLOB    NOT NULL
) STRICT;

CREATE INDEX segments_by_run ON segments (run_no);

-- Counted once: the key leads with the run, so that a new run's callbacks touch a few
-- fresh pages however many callbacks of other runs are stored.
CREATE TABLE callback_keys (
    run_no      INTEGER NOT NULL,
    callback_key TEXT   NOT NULL,
    seq         INTEGER NOT NULL,
    PRIMARY KEY (run_no, callback_key)
) STRICT, WITHOUT ROWID;

-- Every callback before before_seq has its key above; see app/store/sqlite/key_index.py.
CREATE TABLE keys_progress (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    before_seq  INTEGER NOT NULL
) STRICT;

INSERT INTO keys_progress (only, before_seq) VALUES (1, 1);

-- The same key with another body: logged too, and told apart by the body's digest.
CREATE TABLE conflicts (
    run_no      INTEGER NOT NULL,
    callback_key TEXT   NOT NULL,
    body_digest BLOB    NOT NULL,
    seq         INTEGER NOT NULL,
    PRIMARY KEY (run_no, callback_key, body_digest)
) STRICT, WITHOUT ROWID;

-- Authentic bodies that were not understood. Repeats of one body are counted, not kept again.
CREATE TABLE quarantine (
    quarantine_id TEXT  PRIMARY KEY,
    body_digest BLOB    NOT NULL UNIQUE,
    received_ms INTEGER NOT NULL,
    last_received_ms INTEGER NOT NULL,
    times_seen  INTEGER NOT NULL DEFAULT 1,
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    content_type TEXT   NOT NULL,
    body_bytes  INTEGER NOT NULL,
    frame       BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
