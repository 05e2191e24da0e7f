-- How far runs are derived anew whose bodies changed (see the log's table `reworked`), and up
-- to which of these changes this file was rewritten, so that freed pages keep nothing of them.
CREATE TABLE derived_anew (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    rework_no   INTEGER NOT NULL,
    scrubbed_no INTEGER NOT NULL
) STRICT;

INSERT INTO derived_anew (only, rework_no, scrubbed_no) VALUES (1, 0, 0);
