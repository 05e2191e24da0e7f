-- Whether a callback of the run came again with other bytes, whatever they said. Which of them is
-- kept then depends on their order, and exports must not: they spell such runs canonically.
ALTER TABLE runs ADD COLUMN respelled INTEGER NOT NULL DEFAULT 0;

-- Of what came before, nobody knows.
UPDATE runs SET respelled = 1 WHERE duplicates > 0;
