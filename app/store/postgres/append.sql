-- Append a group of callbacks: one statement, which is a transaction by itself.
--
-- $1..$4  each callback: index of its run (from 1), place within the run, key, digest of its body
-- $5..$7  each run: uid, callbacks of this group, repeats within this group
-- $8..$12 each segment: index of its run, place of its first callback, callbacks,
--         when the first came, frame
-- $13     version of the tombstones that the group was looked through for
--
-- Answers with the callbacks that were logged before, by this replica or another one, and
-- whether they were the same bytes; null if the earlier one was not visible yet.
WITH runs_given AS (
    SELECT run, run_uid, callbacks, repeats
    FROM unnest($5::text[], $6::bigint[], $7::bigint[])
        WITH ORDINALITY AS r (run_uid, callbacks, repeats, run)
    -- A subquery, so that it is called once. It fails rather than being false.
    WHERE (SELECT erasures_are_known($13))
), given AS MATERIALIZED (
    SELECT g.run, r.run_uid, g.place, g.callback_key, g.body_digest
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[])
        AS g (run, place, callback_key, body_digest)
    JOIN runs_given r USING (run)
), seen AS MATERIALIZED (
    -- LATERAL and LIMIT, here and elsewhere: one look into the index for each, whatever the
    -- planner believes of the table. The plan is made once, mostly while the table is empty.
    SELECT g.run, g.place, k.body_digest = g.body_digest AS is_same
    FROM given g CROSS JOIN LATERAL (
        SELECT body_digest FROM callback_keys
        WHERE run_uid = g.run_uid AND callback_key = g.callback_key LIMIT 1
    ) AS k
), reserved AS (
    -- In the order of their uids, so that two replicas never wait for each other.
    INSERT INTO log_runs AS l (run_uid, next_seq, duplicates, is_dirty)
    SELECT r.run_uid, 1 + r.callbacks,
        r.repeats + (SELECT count(*) FROM seen s WHERE s.run = r.run AND s.is_same), true
    FROM runs_given r ORDER BY r.run_uid
    ON CONFLICT (run_uid) DO UPDATE SET
        next_seq = l.next_seq + excluded.next_seq - 1,
        duplicates = l.duplicates + excluded.duplicates,
        is_dirty = true
    RETURNING run_uid, next_seq
), base AS (
    SELECT r.run, r.run_uid, v.next_seq - r.callbacks AS first_seq
    FROM runs_given r JOIN reserved v USING (run_uid)
), stored AS (
    INSERT INTO callback_keys (run_uid, callback_key, seq, body_digest)
    SELECT g.run_uid, g.callback_key, b.first_seq + g.place, g.body_digest
    FROM given g JOIN base b USING (run)
    WHERE NOT EXISTS (SELECT FROM seen s WHERE s.run = g.run AND s.place = g.place)
    ON CONFLICT DO NOTHING
    RETURNING run_uid, seq
), missed AS MATERIALIZED (
    SELECT g.run, g.place
    FROM given g JOIN base b USING (run)
    LEFT JOIN stored s ON s.run_uid = g.run_uid AND s.seq = b.first_seq + g.place
    WHERE s.seq IS NULL
), packed AS (
    INSERT INTO segments (run_uid, first_seq, callbacks, repeats, received_ms, frame)
    SELECT b.run_uid, b.first_seq + p.place, p.callbacks, left_out.places, p.received_ms, p.frame
    FROM unnest($8::bigint[], $9::bigint[], $10::integer[], $11::bigint[], $12::bytea[])
        AS p (run, place, callbacks, received_ms, frame)
    JOIN base b USING (run)
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg((m.place - p.place)::smallint), '{}') AS places
        FROM missed m
        WHERE m.run = p.run AND m.place >= p.place AND m.place < p.place + p.callbacks
    ) AS left_out
    WHERE cardinality(left_out.places) < p.callbacks
)
SELECT m.run, m.place, s.is_same FROM missed m LEFT JOIN seen s USING (run, place)
