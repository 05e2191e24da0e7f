-- What was erased, or is being erased: the request, its progress and its record in one. As
-- long as it is not lifted it is a tombstone too: nothing of it comes in again.
-- value_digest: keyed, see app/erasing.py. progress, counts: JSON, see app/store/erasures.py.
CREATE TABLE erasures (
    erasure_id  TEXT    PRIMARY KEY,
    kind        TEXT    NOT NULL CHECK (kind IN ('run', 'person', 'expiry')),
    run_uid     TEXT,
    field       TEXT,
    value_digest TEXT,
    requested_by TEXT   NOT NULL,
    requested_ms INTEGER NOT NULL,
    progress    TEXT    NOT NULL,
    counts      TEXT    NOT NULL,
    finished_ms INTEGER,
    lifted_by   TEXT,
    lifted_ms   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX erasures_unfinished ON erasures (erasure_id) WHERE finished_ms IS NULL;

-- One row. The log never goes on before next_seq, also where its last segments are gone.
-- erasure_key: under which values are digested, sealed. scrub_no: up to which of the changes
-- below no trace of what was may stay in the file of what is derived.
CREATE TABLE log_state (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    next_seq    INTEGER NOT NULL,
    erasure_key TEXT,
    scrub_no    INTEGER NOT NULL
) STRICT;

INSERT INTO log_state (only, next_seq, erasure_key, scrub_no) VALUES (1, 1, NULL, 0);

-- Runs of which bodies changed, or went: what is derived of them is to be derived anew.
CREATE TABLE reworked (
    run_no      INTEGER PRIMARY KEY,
    rework_no   INTEGER NOT NULL UNIQUE
) STRICT;
