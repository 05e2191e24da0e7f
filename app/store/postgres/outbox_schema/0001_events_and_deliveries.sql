-- What is to be told to whom. Not derived, so that a rebuild leaves it alone.

-- The number of the next event. Whoever takes over raised events holds this row, so that
-- numbers become visible in their order.
CREATE TABLE relay (
    relay_no    integer PRIMARY KEY CHECK (relay_no = 1),
    next_event_no bigint NOT NULL
);

INSERT INTO relay (relay_no, next_event_no) VALUES (1, 1);

-- Up to where in a run's log events were raised: what is derived again from there raises none.
CREATE TABLE announcements (
    run_uid     text COLLATE "C" PRIMARY KEY,
    announced_seq bigint NOT NULL
) WITH (fillfactor = 50);

-- What was derived before there were events is no news.
INSERT INTO announcements (run_uid, announced_seq) SELECT run_uid, next_seq FROM log_runs;

-- Events raised in the transactions that cause them. They wait here until they are numbered;
-- within a run raised_no rises in the order of commits.
CREATE TABLE raised_events (
    raised_no   bigint GENERATED ALWAYS AS IDENTITY,
    event_id    text COLLATE "C" NOT NULL,
    type        text    NOT NULL,
    run_uid     text COLLATE "C" NOT NULL,
    subject     text,
    time_ms     bigint  NOT NULL,
    action_name text,
    scheduled_run_uid text,
    data        text    NOT NULL,
    PRIMARY KEY (run_uid, raised_no)
);

CREATE INDEX raised_events_in_order ON raised_events (raised_no);

-- Events in the order in which they are told. event_id is the same for the same cause.
CREATE TABLE events (
    event_no    bigint  NOT NULL,
    event_id    text COLLATE "C" NOT NULL,
    type        text    NOT NULL,
    run_uid     text COLLATE "C" NOT NULL,
    subject     text,
    time_ms     bigint  NOT NULL,
    action_name text,
    scheduled_run_uid text,
    data        text    NOT NULL,
    PRIMARY KEY (run_uid, event_id)
);

CREATE INDEX events_in_order ON events (event_no);

CREATE INDEX events_by_id ON events (event_id);

CREATE INDEX events_by_run ON events (run_uid, event_no);

CREATE INDEX events_by_time ON events (time_ms);

-- Where events go. config: JSON, see app/notify/endpoint.py; secrets: sealed JSON. version
-- rises with each change. A replica has the deliveries of an endpoint to itself while it
-- leases it.
CREATE TABLE endpoints (
    endpoint_id text COLLATE "C" PRIMARY KEY,
    state       text    NOT NULL CHECK (state IN ('active', 'paused', 'disabled')),
    reason      text,
    config      text    NOT NULL,
    secrets     text    NOT NULL,
    version     bigint  NOT NULL,
    created_ms  bigint  NOT NULL,
    updated_ms  bigint  NOT NULL,
    failing_since_ms bigint,
    delivered_ms bigint,
    leased_by   text,
    leased_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);

-- An event on its way to an endpoint. tries: since it was last asked for; attempts: in all.
-- event_no is 0 for a test, which has no event.
CREATE TABLE deliveries (
    delivery_id text COLLATE "C" NOT NULL,
    run_uid     text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    event_id    text COLLATE "C" NOT NULL,
    event_no    bigint  NOT NULL,
    type        text    NOT NULL,
    state       text    NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    due_ms      bigint  NOT NULL,
    tries       integer NOT NULL,
    attempts    integer NOT NULL,
    created_ms  bigint  NOT NULL,
    finished_ms bigint,
    last_status integer,
    last_problem text,
    PRIMARY KEY (run_uid, delivery_id)
);

CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_ms, event_no)
    WHERE state = 'pending';

CREATE INDEX deliveries_pending_of_runs ON deliveries (endpoint_id, run_uid, event_no)
    WHERE state = 'pending';

CREATE INDEX deliveries_by_id ON deliveries (delivery_id);

CREATE INDEX deliveries_of_endpoints ON deliveries (endpoint_id, delivery_id);

CREATE INDEX deliveries_failed ON deliveries (endpoint_id, delivery_id) WHERE state = 'failed';

CREATE INDEX deliveries_of_events ON deliveries (event_no);

CREATE INDEX deliveries_settled ON deliveries (finished_ms) WHERE state <> 'pending';

-- One try. answer: the beginning of what the receiver said.
CREATE TABLE attempts (
    run_uid     text COLLATE "C" NOT NULL,
    delivery_id text COLLATE "C" NOT NULL,
    attempt_no  integer NOT NULL,
    at_ms       bigint  NOT NULL,
    took_ms     bigint  NOT NULL,
    status      integer,
    problem     text,
    answer      text    NOT NULL,
    PRIMARY KEY (run_uid, delivery_id, attempt_no)
);
