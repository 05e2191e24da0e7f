-- What is derived from the log. All of it can be thrown away and derived again.
-- Every table that grows leads with run_uid in its primary key.
-- Names and values that senders chose are kept as bytes: text cannot hold a NUL.

-- How far each run is projected, and who is at it. A lease that has run out is anyone's.
CREATE TABLE projections (
    run_uid     text COLLATE "C" PRIMARY KEY,
    next_seq    bigint  NOT NULL DEFAULT 1,
    leased_by   text,
    leased_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);

CREATE TABLE runs (
    run_uid     text COLLATE "C" PRIMARY KEY,
    status      text    NOT NULL,
    statuses    text    NOT NULL,
    completeness text   NOT NULL,
    action_name text,
    execution_mode text,
    scheduled_run_uid text,
    callbacks   bigint  NOT NULL,
    conflicts   bigint  NOT NULL,
    results     bigint  NOT NULL,
    inputs      bigint  NOT NULL,
    inputs_succeeded bigint NOT NULL,
    inputs_failed bigint NOT NULL,
    first_received_ms bigint NOT NULL,
    last_received_ms bigint NOT NULL,
    finished_ms bigint
);

CREATE INDEX runs_by_first_received ON runs (first_received_ms, run_uid);

CREATE INDEX runs_by_last_received ON runs (last_received_ms, run_uid);

-- One row for each callback of a run, in order of arrival. lost_to: see app/store/rows.py.
-- The results themselves stay in the log; here are their digests, 16 bytes each, end to end.
CREATE TABLE callbacks (
    run_uid     text COLLATE "C" NOT NULL,
    seq         bigint  NOT NULL,
    callback_key text COLLATE "C" NOT NULL,
    input_no    bigint  NOT NULL,
    content     bytea,
    results     integer NOT NULL,
    is_winner   boolean NOT NULL,
    lost_to     bigint,
    batch_uid   text,
    status      text,
    received_ms bigint  NOT NULL,
    body_bytes  integer NOT NULL,
    conflicts_with bigint,
    note        text,
    digests     bytea   NOT NULL,
    PRIMARY KEY (run_uid, seq)
);

CREATE INDEX callbacks_with_results ON callbacks (run_uid, input_no, content)
    WHERE content IS NOT NULL;

CREATE INDEX callbacks_in_conflict ON callbacks (run_uid, conflicts_with)
    WHERE conflicts_with IS NOT NULL;

CREATE TABLE inputs (
    run_uid     text COLLATE "C" NOT NULL,
    input_no    bigint  NOT NULL,
    input_key   bytea   NOT NULL,
    input       text    NOT NULL,
    custom_data text    NOT NULL,
    status      text    NOT NULL,
    statuses    text    NOT NULL,
    error_label text,
    error       text,
    results     bigint  NOT NULL,
    first_received_ms bigint NOT NULL,
    last_received_ms bigint NOT NULL,
    PRIMARY KEY (run_uid, input_no)
);

-- Also the order of exports.
CREATE UNIQUE INDEX inputs_by_key ON inputs (run_uid, input_key);

CREATE INDEX inputs_with_errors ON inputs (run_uid, error_label, input_key)
    WHERE error_label IS NOT NULL;

-- Look-ups by the user's own data.
CREATE TABLE custom_values (
    run_uid     text COLLATE "C" NOT NULL,
    path        bytea   NOT NULL,
    value       bytea   NOT NULL,
    input_no    bigint  NOT NULL,
    PRIMARY KEY (run_uid, path, value, input_no)
);

-- The columns of a run's tables. A name may be too long for an index, its digest is not.
CREATE TABLE fields (
    run_uid     text COLLATE "C" NOT NULL,
    section     text    NOT NULL,
    name_digest bytea   NOT NULL,
    name        bytea   NOT NULL,
    PRIMARY KEY (run_uid, section, name_digest)
);
