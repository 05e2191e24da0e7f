-- What is derived from the log. All of it can be thrown away and derived again.
-- Every table that grows leads with the run in its key, so that what serves one run
-- touches the pages of that run alone.

-- The first seq of the log that is not projected yet.
CREATE TABLE progress (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    next_seq    INTEGER NOT NULL
) STRICT;

INSERT INTO progress (only, next_seq) VALUES (1, 1);

CREATE TABLE runs (
    run_no      INTEGER PRIMARY KEY,
    run_uid     TEXT    NOT NULL UNIQUE,
    status      TEXT    NOT NULL,
    statuses    TEXT    NOT NULL,
    completeness TEXT   NOT NULL,
    action_name TEXT,
    execution_mode TEXT,
    scheduled_run_uid TEXT,
    callbacks   INTEGER NOT NULL,
    conflicts   INTEGER NOT NULL,
    results     INTEGER NOT NULL,
    inputs      INTEGER NOT NULL,
    inputs_succeeded INTEGER NOT NULL,
    inputs_failed INTEGER NOT NULL,
    first_received_ms INTEGER NOT NULL,
    last_received_ms INTEGER NOT NULL,
    finished_ms INTEGER
) STRICT;

CREATE INDEX runs_by_first_received ON runs (first_received_ms, run_no);

CREATE INDEX runs_by_last_received ON runs (last_received_ms, run_no);

-- One row for each callback of a run, in order of arrival. lost_to: see app/store/rows.py.
-- The results themselves stay in the log; here are their digests, 16 bytes each, end to end:
-- the results of a run are the multiset of the digests of the callbacks that count.
CREATE TABLE callbacks (
    run_no      INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    callback_key TEXT   NOT NULL,
    input_no    INTEGER NOT NULL,
    content     BLOB,
    results     INTEGER NOT NULL,
    is_winner   INTEGER NOT NULL,
    lost_to     INTEGER,
    batch_uid   TEXT,
    status      TEXT,
    received_ms INTEGER NOT NULL,
    body_bytes  INTEGER NOT NULL,
    conflicts_with INTEGER,
    note        TEXT,
    digests     BLOB    NOT NULL,
    PRIMARY KEY (run_no, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX callbacks_with_results ON callbacks (run_no, input_no) WHERE results > 0;

-- A replay is known by the content that it shares with its original.
CREATE INDEX callbacks_by_content ON callbacks (run_no, content) WHERE content IS NOT NULL;

CREATE INDEX callbacks_in_conflict ON callbacks (run_no, conflicts_with)
    WHERE conflicts_with IS NOT NULL;

-- Numbered as they show up, so that new rows go to the end of each tree; the digest that
-- tells inputs apart is random, and has a slim index to itself.
CREATE TABLE inputs (
    run_no      INTEGER NOT NULL,
    input_no    INTEGER NOT NULL,
    input_key   BLOB    NOT NULL,
    input       TEXT    NOT NULL,
    custom_data TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    statuses    TEXT    NOT NULL,
    error_label TEXT,
    error       TEXT,
    results     INTEGER NOT NULL,
    first_received_ms INTEGER NOT NULL,
    last_received_ms INTEGER NOT NULL,
    PRIMARY KEY (run_no, input_no)
) STRICT, WITHOUT ROWID;

-- Also the order of exports.
CREATE UNIQUE INDEX inputs_by_key ON inputs (run_no, input_key);

-- Failed inputs are looked for far more often than they occur.
CREATE INDEX inputs_with_errors ON inputs (run_no, error_label, input_key)
    WHERE error_label IS NOT NULL;

-- Look-ups by the user's own data.
CREATE TABLE custom_values (
    run_no      INTEGER NOT NULL,
    path        TEXT    NOT NULL,
    value       TEXT    NOT NULL,
    input_no    INTEGER NOT NULL,
    PRIMARY KEY (run_no, path, value, input_no)
) STRICT, WITHOUT ROWID;

-- The columns of a run's tables.
CREATE TABLE fields (
    run_no      INTEGER NOT NULL,
    section     TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    PRIMARY KEY (run_no, section, name)
) STRICT, WITHOUT ROWID;
