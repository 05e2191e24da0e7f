-- Which runs are to be reconciled when (Unix time in milliseconds), and which replica is at
-- them. Not derived, and not needed either: every run that is not proven is asked for again.
CREATE TABLE reconciliations (
    run_uid     text COLLATE "C" PRIMARY KEY,
    due_ms      bigint,
    leased_by   text,
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    failures    integer NOT NULL DEFAULT 0,
    problem     text
) WITH (fillfactor = 50);

CREATE INDEX reconciliations_due ON reconciliations (due_ms) WHERE due_ms IS NOT NULL;
