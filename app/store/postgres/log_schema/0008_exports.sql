-- How far each run was projected at a time: see app/store/postgres/marks.py. next_seq of a run at
-- a mark is that of its last row up to there. Not derived; whoever goes by a mark that is gone
-- begins anew.
CREATE TABLE marks (
    mark_no     bigint  PRIMARY KEY,
    made_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE marked_runs (
    run_uid     text COLLATE "C" NOT NULL,
    mark_no     bigint  NOT NULL,
    next_seq    bigint  NOT NULL,
    PRIMARY KEY (run_uid, mark_no)
);

CREATE INDEX marked_runs_by_mark ON marked_runs (mark_no);

-- Files that were asked for. request: as it was sent, JSON; facts: what is known of the file,
-- JSON. A job that is running has a lease; one that ran out is anyone's.
CREATE TABLE exports (
    export_id   text COLLATE "C" PRIMARY KEY,
    idempotency_key text COLLATE "C" UNIQUE,
    request     text    NOT NULL,
    state       text    NOT NULL,
    tries       integer NOT NULL,
    facts       text    NOT NULL,
    created_ms  bigint  NOT NULL,
    finished_ms bigint,
    expires_ms  bigint,
    leased_by   text,
    leased_until_ms bigint NOT NULL DEFAULT 0
);

CREATE INDEX exports_open ON exports (created_ms) WHERE state IN ('queued', 'running');
