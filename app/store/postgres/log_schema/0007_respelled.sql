-- Whether a callback of the run came again with other bytes, whatever they said. Which of them is
-- kept then depends on their order, and exports must not: they spell such runs canonically.
ALTER TABLE log_runs ADD COLUMN respelled boolean NOT NULL DEFAULT false;

-- Of what came before, nobody knows.
UPDATE log_runs SET respelled = true WHERE duplicates > 0;
