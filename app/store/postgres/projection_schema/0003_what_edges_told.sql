-- What Edges told of a run: its readings, walks and counts (JSON, see app/told.py), and what
-- follows from them. expected_results: by Edges' count; missing: in numbers, as JSON.
ALTER TABLE runs
    ADD COLUMN told text,
    ADD COLUMN terminal_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN expected_results bigint,
    ADD COLUMN missing text,
    ADD COLUMN lost_results bigint NOT NULL DEFAULT 0,
    ADD COLUMN lost_inputs bigint NOT NULL DEFAULT 0,
    ADD COLUMN verified_ms bigint;

-- Few runs are not proven at any time; those are looked for all the time.
CREATE INDEX runs_unproven ON runs (run_uid) WHERE completeness <> 'complete';

-- What Edges' list says of an input (told, JSON), and where it stands there, once all of the
-- list is known. alias_key finds it by its custom_data alone. shown_error: by callbacks.
-- short: how many results fewer it has than Edges told.
ALTER TABLE inputs
    ADD COLUMN input_uid text COLLATE "C",
    ADD COLUMN alias_key bytea,
    ADD COLUMN told text,
    ADD COLUMN shown_error text,
    ADD COLUMN short bigint NOT NULL DEFAULT 0,
    ADD COLUMN place bigint;

-- Also the order of exports, as far as it is known.
CREATE INDEX inputs_by_place ON inputs (run_uid, place, input_key) WHERE place IS NOT NULL;

CREATE INDEX inputs_by_uid ON inputs (run_uid, input_uid) WHERE input_uid IS NOT NULL;

CREATE INDEX inputs_by_alias ON inputs (run_uid, alias_key) WHERE alias_key IS NOT NULL;

CREATE INDEX inputs_short ON inputs (run_uid, short) WHERE short > 0;

-- Pages of walks over a run's outputs: 16 bytes of digest for each result; the data itself
-- is in the log, at seq. counted has a bit for each result that counts: see
-- app/project/recount.py.
CREATE TABLE output_pages (
    run_uid     text COLLATE "C" NOT NULL,
    walk_uid    text COLLATE "C" NOT NULL,
    page        integer NOT NULL,
    seq         bigint  NOT NULL,
    received_ms bigint  NOT NULL,
    digests     bytea   NOT NULL,
    counted     bytea,
    PRIMARY KEY (run_uid, walk_uid, page)
);

-- What Edges records of the callbacks that it sent, as far as it was asked.
CREATE TABLE edges_callbacks (
    run_uid     text COLLATE "C" NOT NULL,
    uid         text COLLATE "C" NOT NULL,
    parent_uid  text,
    batch_uid   text,
    status      text,
    http_status integer,
    error       text,
    created_ms  bigint,
    told_ms     bigint  NOT NULL,
    replays     integer NOT NULL,
    PRIMARY KEY (run_uid, uid)
);
