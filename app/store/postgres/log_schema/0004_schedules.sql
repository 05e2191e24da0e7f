-- What Edges last said of each schedule, and over time. Not derived from callbacks, so that a
-- rebuild leaves it alone. judged_ms: see app/store/views.py.
CREATE TABLE schedules (
    schedule_uid text COLLATE "C" PRIMARY KEY,
    status      text    NOT NULL,
    action_name text,
    record      text    NOT NULL,
    phases      text    NOT NULL,
    first_seen_ms bigint NOT NULL,
    told_ms     bigint  NOT NULL,
    judged_ms   bigint  NOT NULL
);

-- Iterations that should have come and did not: each is told of once.
CREATE TABLE missed_iterations (
    schedule_uid text COLLATE "C" NOT NULL,
    due_ms      bigint  NOT NULL,
    noted_ms    bigint  NOT NULL,
    PRIMARY KEY (schedule_uid, due_ms)
);

-- When one of the replicas last took it on to do what is to be done every so often, by the
-- clock of this server.
CREATE TABLE turns (
    name        text COLLATE "C" PRIMARY KEY,
    taken_at    timestamptz NOT NULL
);

-- What a copy has put into this database of these.
ALTER TABLE copies ADD COLUMN schedules bigint NOT NULL DEFAULT 0;

ALTER TABLE copies ADD COLUMN missed_iterations bigint NOT NULL DEFAULT 0;
