-- Log what conflicts with an earlier callback of the same key, and count what only repeats it.
--
-- $1..$5  each: run uid, key, digest of the canonical body (null for what only repeats), when
--         it came, frame. No two are the same conflict.
-- $6      version of the tombstones that they were looked through for
--
-- Answers with the numbers (from 1) of conflicts that another replica logged in this instant;
-- they are not counted as repeats yet.
WITH given AS MATERIALIZED (
    SELECT n, run_uid, callback_key, body_digest, received_ms, frame
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bytea[])
        WITH ORDINALITY AS g (run_uid, callback_key, body_digest, received_ms, frame, n)
    WHERE (SELECT erasures_are_known($6))
), fresh AS MATERIALIZED (
    -- Counted from the end, since that is where the run's next number is known.
    SELECT g.*, row_number() OVER (PARTITION BY g.run_uid ORDER BY g.n DESC) AS place
    FROM given g LEFT JOIN LATERAL (
        SELECT seq FROM conflicts
        WHERE run_uid = g.run_uid AND callback_key = g.callback_key
            AND body_digest = g.body_digest LIMIT 1
    ) AS c ON true
    WHERE g.body_digest IS NOT NULL AND c.seq IS NULL
), reserved AS (
    INSERT INTO log_runs AS l (run_uid, next_seq, duplicates, is_dirty, respelled)
    SELECT g.run_uid, 1 + count(f.n), count(*) - count(f.n), count(f.n) > 0, true
    FROM given g LEFT JOIN fresh f USING (n)
    GROUP BY g.run_uid ORDER BY g.run_uid
    ON CONFLICT (run_uid) DO UPDATE SET
        next_seq = l.next_seq + excluded.next_seq - 1,
        duplicates = l.duplicates + excluded.duplicates,
        is_dirty = l.is_dirty OR excluded.is_dirty,
        respelled = true
    RETURNING run_uid, next_seq
), kept AS (
    INSERT INTO conflicts (run_uid, callback_key, body_digest, seq)
    SELECT f.run_uid, f.callback_key, f.body_digest, v.next_seq - f.place
    FROM fresh f JOIN reserved v USING (run_uid)
    ON CONFLICT DO NOTHING
    RETURNING run_uid, callback_key, body_digest, seq
), packed AS (
    INSERT INTO segments (run_uid, first_seq, callbacks, repeats, received_ms, frame)
    SELECT k.run_uid, k.seq, 1, '{}', f.received_ms, f.frame
    FROM kept k JOIN fresh f USING (run_uid, callback_key, body_digest)
)
SELECT f.n FROM fresh f LEFT JOIN kept k USING (run_uid, callback_key, body_digest)
WHERE k.seq IS NULL
