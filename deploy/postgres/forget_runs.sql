-- Drops everything of runs that have been silent for a while: bodies, keys, what was derived
-- of them, and their events with all deliveries. A run is a range of each primary key, so this costs what the run holds
-- and touches no other; each run is a transaction of its own, and can be interrupted.
-- It may run beside live replicas. Callbacks of a forgotten run that come later start it anew.
--
--   psql "$COLLECTOR_DATABASE_URL" -v ON_ERROR_STOP=1 -f forget_runs.sql
--   psql "$COLLECTOR_DATABASE_URL" -c "CALL forget_runs(interval '180 days')"

CREATE OR REPLACE PROCEDURE forget_runs(silent_for interval)
LANGUAGE plpgsql AS $$
DECLARE
    forgotten text;
    before_ms constant bigint := extract(epoch FROM now() - silent_for) * 1000;
    table_name text;
BEGIN
    FOR forgotten IN
        SELECT r.run_uid FROM runs r JOIN log_runs l USING (run_uid)
        JOIN projections p USING (run_uid)
        WHERE r.last_received_ms < before_ms AND p.next_seq = l.next_seq
        ORDER BY r.last_received_ms
    LOOP
        -- Whoever appends to the run or projects it has these rows.
        PERFORM FROM log_runs WHERE run_uid = forgotten FOR UPDATE;
        PERFORM FROM projections WHERE run_uid = forgotten FOR UPDATE;
        IF EXISTS (
            SELECT FROM log_runs l JOIN projections p USING (run_uid)
            WHERE l.run_uid = forgotten AND l.next_seq = p.next_seq
        ) THEN
            FOREACH table_name IN ARRAY ARRAY[
                'callbacks', 'inputs', 'custom_values', 'fields', 'output_pages', 'edges_callbacks',
                'runs', 'projections',
                'segments', 'callback_keys', 'conflicts', 'log_runs', 'reconciliations',
                -- What comes of it later is news again: nothing of it counts as told.
                'announcements', 'raised_events', 'attempts', 'deliveries', 'events', 'reworked',
                'marked_runs'
            ] LOOP
                EXECUTE format('DELETE FROM %I WHERE run_uid = $1', table_name) USING forgotten;
            END LOOP;
        END IF;
        COMMIT;
    END LOOP;
END
$$;
