-- A replay is known by the content that it shares with its original. Content belongs to an
-- input, and goes to the end of the tree with it; alone it would go to a random page.
DROP INDEX callbacks_with_results;

DROP INDEX callbacks_by_content;

CREATE INDEX callbacks_with_results ON callbacks (run_no, input_no, content)
    WHERE content IS NOT NULL;

-- Lists of runs of the same moment go by their uid, as in every other store.
DROP INDEX runs_by_first_received;

DROP INDEX runs_by_last_received;

CREATE INDEX runs_by_first_received ON runs (first_received_ms, run_uid);

CREATE INDEX runs_by_last_received ON runs (last_received_ms, run_uid);
