-- What Edges told of a run: its readings, walks and counts (JSON, see app/told.py), and what
-- follows from them. expected_results: by Edges' count; missing: in numbers, as JSON.
ALTER TABLE runs ADD COLUMN told TEXT;

ALTER TABLE runs ADD COLUMN terminal_ms INTEGER NOT NULL DEFAULT 0;

ALTER TABLE runs ADD COLUMN expected_results INTEGER;

ALTER TABLE runs ADD COLUMN missing TEXT;

ALTER TABLE runs ADD COLUMN lost_results INTEGER NOT NULL DEFAULT 0;

ALTER TABLE runs ADD COLUMN lost_inputs INTEGER NOT NULL DEFAULT 0;

ALTER TABLE runs ADD COLUMN verified_ms INTEGER;

-- Few runs are not proven at any time; those are looked for all the time.
CREATE INDEX runs_unproven ON runs (run_uid) WHERE completeness <> 'complete';

-- What Edges' list says of an input (told, JSON), and where it stands there, once all of the
-- list is known. alias_key finds it by its custom_data alone. shown_error: by callbacks.
-- short: how many results fewer it has than Edges told.
ALTER TABLE inputs ADD COLUMN input_uid TEXT;

ALTER TABLE inputs ADD COLUMN alias_key BLOB;

ALTER TABLE inputs ADD COLUMN told TEXT;

ALTER TABLE inputs ADD COLUMN shown_error TEXT;

ALTER TABLE inputs ADD COLUMN short INTEGER NOT NULL DEFAULT 0;

ALTER TABLE inputs ADD COLUMN place INTEGER;

-- Also the order of exports, as far as it is known.
CREATE INDEX inputs_by_place ON inputs (run_no, place, input_key) WHERE place IS NOT NULL;

CREATE INDEX inputs_by_uid ON inputs (run_no, input_uid) WHERE input_uid IS NOT NULL;

CREATE INDEX inputs_by_alias ON inputs (run_no, alias_key) WHERE alias_key IS NOT NULL;

CREATE INDEX inputs_short ON inputs (run_no, short) WHERE short > 0;

-- Pages of walks over a run's outputs: 16 bytes of digest for each result; the data itself
-- is in the log, at seq. counted has a bit for each result that counts: see
-- app/project/recount.py.
CREATE TABLE output_pages (
    run_no      INTEGER NOT NULL,
    walk_uid    TEXT    NOT NULL,
    page        INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    digests     BLOB    NOT NULL,
    counted     BLOB,
    PRIMARY KEY (run_no, walk_uid, page)
) STRICT, WITHOUT ROWID;

-- What Edges records of the callbacks that it sent, as far as it was asked.
CREATE TABLE edges_callbacks (
    run_no      INTEGER NOT NULL,
    uid         TEXT    NOT NULL,
    parent_uid  TEXT,
    batch_uid   TEXT,
    status      TEXT,
    http_status INTEGER,
    error       TEXT,
    created_ms  INTEGER,
    told_ms     INTEGER NOT NULL,
    replays     INTEGER NOT NULL,
    PRIMARY KEY (run_no, uid)
) STRICT, WITHOUT ROWID;
