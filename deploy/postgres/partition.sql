-- Splits every table that grows into 16 partitions by a hash of the run, so that each is
-- vacuumed by itself and may lie on a tablespace of its own.
--
--   psql "$COLLECTOR_DATABASE_URL" -v ON_ERROR_STOP=1 --single-transaction -f partition.sql
--
-- Stop all replicas first: the tables are copied. Room for a second copy of the data is
-- needed. `edges-collector rebuild` makes derived tables anew, in one piece: run this again
-- after it; what is partitioned already is left as it is.

DO $$
DECLARE
    partitions constant integer := 16;
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'segments', 'callback_keys', 'conflicts',
        'callbacks', 'inputs', 'custom_values', 'fields', 'output_pages', 'edges_callbacks',
        'events', 'deliveries', 'attempts'
    ] LOOP
        CONTINUE WHEN (SELECT relkind = 'p' FROM pg_class WHERE oid = name::regclass);
        EXECUTE format('ALTER TABLE %I RENAME TO %I', name, name || '_whole');
        EXECUTE format(
            'CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY HASH (run_uid)',
            name, name || '_whole'
        );
        FOR part IN 0 .. partitions - 1 LOOP
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
                name || '_' || part, name, partitions, part
            );
        END LOOP;
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', name, name || '_whole');
        EXECUTE format('DROP TABLE %I', name || '_whole');
    END LOOP;
END
$$;

-- What LIKE does not copy to partitions: frames are compressed already, and small enough
-- to stay in their row.
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'segments'::regclass
    LOOP
        EXECUTE format('ALTER TABLE %s SET (toast_tuple_target = 8160)', part);
    END LOOP;
END
$$;
