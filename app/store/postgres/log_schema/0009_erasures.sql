-- What was erased, or is being erased: the request, its progress and its record in one. As
-- long as it is not lifted it is a tombstone too: nothing of it comes in again.
-- value_digest: keyed, see app/erasing.py. progress, counts: JSON, see app/store/erasures.py.
CREATE TABLE erasures (
    erasure_id  text COLLATE "C" PRIMARY KEY,
    kind        text    NOT NULL CHECK (kind IN ('run', 'person', 'expiry')),
    run_uid     text COLLATE "C",
    field       text,
    value_digest text,
    requested_by text   NOT NULL,
    requested_ms bigint NOT NULL,
    progress    text    NOT NULL,
    counts      text    NOT NULL,
    finished_ms bigint,
    lifted_by   text,
    lifted_ms   bigint
);

CREATE INDEX erasures_unfinished ON erasures (erasure_id) WHERE finished_ms IS NULL;

-- One row. version rises with each change of the tombstones. erasure_key: under which values
-- are digested, sealed.
CREATE TABLE erasure_state (
    state_no    integer PRIMARY KEY CHECK (state_no = 1),
    version     bigint  NOT NULL,
    erasure_key text
);

INSERT INTO erasure_state (state_no, version) VALUES (1, 0);

-- Runs of which bodies changed: what is derived of them is to be derived anew.
CREATE TABLE reworked (
    run_uid     text COLLATE "C" PRIMARY KEY
);

-- Called by whatever writes what senders or Edges said, within its transaction. It fails if there
-- are tombstones that the caller does not know. Whoever adds one waits until those who passed
-- here have committed, and nobody passes meanwhile: so what comes after a tombstone knows it,
-- and what came before it can be seen by whoever erases. A statement within a function sees
-- what was committed before that statement, however long the calling one waited for the lock.
CREATE FUNCTION erasures_are_known(known bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    LOCK TABLE erasure_state IN ROW SHARE MODE;
    IF coalesce((SELECT version FROM erasure_state), 0) <> known THEN
        RAISE EXCEPTION 'there are tombstones that are not known here' USING ERRCODE = 'EC001';
    END IF;
    RETURN true;
END
$$;

-- What the source of a copy had erased when the copy was begun; see app/store/copying.py.
ALTER TABLE copies ADD COLUMN erased bytea NOT NULL DEFAULT '';
