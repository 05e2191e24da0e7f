-- Up to where the source of a copy had told its events, when it was last copied.
ALTER TABLE copies ADD COLUMN announced_seq bigint NOT NULL DEFAULT 1;

-- What a copy has put into this database of the outbox. endpoint_versions: the sum of them.
ALTER TABLE copies ADD COLUMN endpoints bigint NOT NULL DEFAULT 0;

ALTER TABLE copies ADD COLUMN endpoint_versions bigint NOT NULL DEFAULT 0;

ALTER TABLE copies ADD COLUMN events bigint NOT NULL DEFAULT 0;

ALTER TABLE copies ADD COLUMN deliveries bigint NOT NULL DEFAULT 0;

ALTER TABLE copies ADD COLUMN attempts bigint NOT NULL DEFAULT 0;
