-- Standing sinks: where the results of runs go by themselves when they are complete. config: JSON,
-- see app/sinks/standing.py; secrets: its address, sealed. version rises with each change. Of the
-- events up to seen_event_no all runs are among sink_runs. backfill_after: of the runs that were
-- there before, those up to this uid are; NULL if none is to be.
CREATE TABLE sinks (
    sink_id     text COLLATE "C" PRIMARY KEY,
    state       text    NOT NULL CHECK (state IN ('active', 'paused')),
    config      text    NOT NULL,
    secrets     text    NOT NULL,
    version     bigint  NOT NULL,
    seen_event_no bigint  NOT NULL,
    backfill_after text,
    created_ms  bigint  NOT NULL,
    updated_ms  bigint  NOT NULL
);

-- A run that is to be in a sink. asked: how often that was asked for; whoever writes it is done
-- only if nobody asked anew meanwhile. is_forced: also if it is there as it is. written_version,
-- row_count, took_ms and written_ms are of the last time that it was written. notes: JSON. A replica
-- has a run to itself while it leases it.
CREATE TABLE sink_runs (
    run_uid     text COLLATE "C" NOT NULL,
    sink_id     text COLLATE "C" NOT NULL,
    state       text    NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    is_forced   integer NOT NULL,
    asked       integer NOT NULL,
    due_ms      bigint  NOT NULL,
    tries       integer NOT NULL,
    changed_ms  bigint  NOT NULL,
    written_version text,
    row_count   bigint,
    took_ms     bigint,
    written_ms  bigint,
    problem     text,
    notes       text,
    leased_by   text,
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (run_uid, sink_id)
) WITH (fillfactor = 70);

CREATE INDEX sink_runs_due ON sink_runs (sink_id, due_ms, run_uid) WHERE state = 'pending';

CREATE INDEX sink_runs_changed ON sink_runs (sink_id, changed_ms, run_uid);
