-- What the engine keeps for every service: who may write (fence), what was read (inbox), what is on its way (pending,
-- outbox), what waits for an id that is not known yet (waiting), why it stands still (halt), the rule books (rulebook).

CREATE TABLE fence (
    topic         text   NOT NULL,
    partition     int    NOT NULL,
    epoch         bigint NOT NULL DEFAULT 0,
    next_offset   bigint,
    applied_until timestamptz,
    owner         text,
    PRIMARY KEY (topic, partition)
);

-- `day` is the event's own recorded_at day, so that a repeat always meets its first; 1970-01-01 is never dropped.
CREATE TABLE inbox (
    id            uuid NOT NULL,
    day           date NOT NULL,
    state         text NOT NULL DEFAULT 'done',
    reason        text,
    repair        int  NOT NULL DEFAULT 0,
    body_hash     text,
    topic         text,
    partition     int,
    record_offset bigint,
    type          text,
    key           text,
    occurred_at   timestamptz,
    recorded_at   timestamptz,
    data          text,
    PRIMARY KEY (id, day)
) PARTITION BY RANGE (day);

CREATE TABLE inbox_for_ever PARTITION OF inbox FOR VALUES FROM ('1970-01-01') TO ('1970-01-02')
  WITH (autovacuum_vacuum_insert_scale_factor = 2, autovacuum_analyze_scale_factor = 2);  -- see inbox.RARELY

CREATE TABLE pending (
    topic     text NOT NULL,
    partition int  NOT NULL,
    frames    bytea NOT NULL,                 -- compressed; see frames.pack
    PRIMARY KEY (topic, partition)
);
ALTER TABLE pending ALTER COLUMN frames SET STORAGE EXTERNAL;

CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot       int         NOT NULL,
    frame      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE waiting (
    inbox_id     uuid        NOT NULL,
    day          date        NOT NULL,
    key          text        NOT NULL,
    due_at       timestamptz NOT NULL,
    topic        text        NOT NULL,
    partition    int         NOT NULL,
    record_offset bigint     NOT NULL,
    timestamp_ms bigint      NOT NULL,
    record_key   bytea,
    value        bytea,
    headers      text        NOT NULL,
    PRIMARY KEY (inbox_id, day)
);
CREATE INDEX waiting_key ON waiting (key);
CREATE INDEX waiting_due ON waiting (due_at);

-- A service that stopped itself: it does not start again before an operator has confirmed this name.
CREATE TABLE halt (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name     text NOT NULL,
    why      text NOT NULL
);

CREATE TABLE rulebook (
    book          text NOT NULL,
    version       text NOT NULL,
    body          text NOT NULL,
    PRIMARY KEY (book, version)
);
CREATE TABLE rulebook_active (
    book                text PRIMARY KEY,
    version             text NOT NULL,
    activated_at_offset bigint NOT NULL
);
CREATE TABLE rulebook_position (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    next_offset bigint NOT NULL
);
