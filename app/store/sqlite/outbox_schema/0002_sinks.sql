-- Standing sinks: where the results of runs go by themselves when they are complete. config: JSON,
-- see app/sinks/standing.py; secrets: its address, sealed. version rises with each change. Of the
-- events up to seen_event_no all runs are among sink_runs. backfill_after: of the runs that were
-- there before, those up to this uid are; NULL if none is to be.
CREATE TABLE sinks (
    sink_id     TEXT    PRIMARY KEY,
    state       TEXT    NOT NULL CHECK (state IN ('active', 'paused')),
    config      TEXT    NOT NULL,
    secrets     TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    seen_event_no INTEGER NOT NULL,
    backfill_after TEXT,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A run that is to be in a sink. asked: how often that was asked for; whoever writes it is done
-- only if nobody asked anew meanwhile. is_forced: also if it is there as it is. written_version,
-- row_count, took_ms and written_ms are of the last time that it was written. notes: JSON.
CREATE TABLE sink_runs (
    run_uid     TEXT    NOT NULL,
    sink_id     TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    is_forced   INTEGER NOT NULL,
    asked       INTEGER NOT NULL,
    due_ms      INTEGER NOT NULL,
    tries       INTEGER NOT NULL,
    changed_ms  INTEGER NOT NULL,
    written_version TEXT,
    row_count   INTEGER,
    took_ms     INTEGER,
    written_ms  INTEGER,
    problem     TEXT,
    notes       TEXT,
    PRIMARY KEY (run_uid, sink_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX sink_runs_due ON sink_runs (sink_id, due_ms, run_uid) WHERE state = 'pending';

CREATE INDEX sink_runs_changed ON sink_runs (sink_id, changed_ms, run_uid);
