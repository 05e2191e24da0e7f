-- What a copy has put into this database of standing sinks. sink_versions: the sum of them.
ALTER TABLE copies ADD COLUMN sinks bigint NOT NULL DEFAULT 0;

ALTER TABLE copies ADD COLUMN sink_versions bigint NOT NULL DEFAULT 0;
