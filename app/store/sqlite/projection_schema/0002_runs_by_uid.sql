-- Lists of runs of the same moment go by their uid, as in every other store.
DROP INDEX runs_by_first_received;

DROP INDEX runs_by_last_received;

CREATE INDEX runs_by_first_received ON runs (first_received_ms, run_uid);

CREATE INDEX runs_by_last_received ON runs (last_received_ms, run_uid);
