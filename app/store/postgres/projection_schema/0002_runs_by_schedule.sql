-- The runs of a schedule, by when they were first heard of.
CREATE INDEX runs_by_schedule ON runs (scheduled_run_uid, first_received_ms, run_uid)
    WHERE scheduled_run_uid IS NOT NULL;
