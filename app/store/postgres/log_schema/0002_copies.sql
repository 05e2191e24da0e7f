-- How far the log of another store was copied into this one, by `edges-collector copy`.
-- Written in the transaction of each portion, so that a copy that was cut off goes on where
-- it was. What this database holds beyond it came from somewhere else.
CREATE TABLE copies (
    copy_no     integer PRIMARY KEY DEFAULT 1 CHECK (copy_no = 1),
    -- The first seq of the source that is not here yet, and what was right before it.
    next_seq    bigint  NOT NULL DEFAULT 1,
    last_digest bytea   NOT NULL DEFAULT '',
    -- What the copy has put into this database.
    callbacks   bigint  NOT NULL DEFAULT 0,
    duplicates  bigint  NOT NULL DEFAULT 0,
    quarantined bigint  NOT NULL DEFAULT 0,
    times_seen  bigint  NOT NULL DEFAULT 0
);
