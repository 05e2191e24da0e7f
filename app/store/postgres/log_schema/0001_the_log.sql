-- The log: what was received, append-only, and the truth from which all else is derived.
-- Every table that grows leads with run_uid in its primary key, so that it can be
-- distributed or partitioned by it; ids compare as bytes, as in every other store.

-- One row for each run. Whoever appends to a run holds its row until the commit, so that
-- a run's callbacks are numbered in the order of their commits, and a reader that is past
-- a number never misses a smaller one.
CREATE TABLE log_runs (
    run_uid     text COLLATE "C" PRIMARY KEY,
    next_seq    bigint  NOT NULL,
    duplicates  bigint  NOT NULL,
    -- Whether there may be callbacks that are not projected yet.
    is_dirty    boolean NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX log_runs_dirty ON log_runs (run_uid) WHERE is_dirty;

-- Bodies in order of arrival: one compressed frame for callbacks of one run that were
-- committed together, numbered from first_seq on. At the places in `repeats` are those
-- that another replica had logged by then; they count for nothing.
CREATE TABLE segments (
    run_uid     text COLLATE "C" NOT NULL,
    first_seq   bigint  NOT NULL,
    callbacks   integer NOT NULL,
    repeats     smallint[] NOT NULL,
    received_ms bigint  NOT NULL,
    frame       bytea   NOT NULL,
    PRIMARY KEY (run_uid, first_seq)
) WITH (toast_tuple_target = 8160);

ALTER TABLE segments ALTER COLUMN frame SET STORAGE EXTERNAL;

-- Counted once. The digest is that of the body as received: a repeat is mostly the same bytes.
CREATE TABLE callback_keys (
    run_uid     text COLLATE "C" NOT NULL,
    callback_key text COLLATE "C" NOT NULL,
    seq         bigint  NOT NULL,
    body_digest bytea   NOT NULL,
    PRIMARY KEY (run_uid, callback_key)
);

-- The same key with another body: logged too, and told apart by the canonical body's digest.
CREATE TABLE conflicts (
    run_uid     text COLLATE "C" NOT NULL,
    callback_key text COLLATE "C" NOT NULL,
    body_digest bytea   NOT NULL,
    seq         bigint  NOT NULL,
    PRIMARY KEY (run_uid, callback_key, body_digest)
);

-- Authentic bodies that were not understood, and so are of no run. Repeats are counted.
CREATE TABLE quarantine (
    quarantine_id text COLLATE "C" PRIMARY KEY,
    body_digest bytea   NOT NULL UNIQUE,
    received_ms bigint  NOT NULL,
    last_received_ms bigint NOT NULL,
    times_seen  integer NOT NULL DEFAULT 1,
    reason      text    NOT NULL,
    detail      text    NOT NULL,
    content_type text   NOT NULL,
    body_bytes  integer NOT NULL,
    frame       bytea   NOT NULL
);
