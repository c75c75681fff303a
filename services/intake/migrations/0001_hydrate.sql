-- Leads that a source told by id only, on their way to be read from its API (hydrate). One row for each, for ever: a
-- notice that comes again, or a deletion that comes first, must meet it. Locks are taken in the order hydrate_source,
-- notice; a row's lead and addresses are never kept, only hashes.

CREATE TABLE hydrate_source (
    source       text PRIMARY KEY,
    paced_until  timestamptz NOT NULL DEFAULT 'epoch',  -- its budget is used up to here
    not_before   timestamptz NOT NULL DEFAULT 'epoch',  -- it asked us to wait, or does not answer
    failures     integer NOT NULL DEFAULT 0,
    parked_at    timestamptz,
    parked_why   text,
    parked_token text,                                      -- digest of the token that was refused
    probe_at     timestamptz,
    parks        integer NOT NULL DEFAULT 0
);

CREATE TABLE notice (
    source        text NOT NULL,
    notice_id     text NOT NULL,
    state         text NOT NULL DEFAULT 'new'
        CHECK (state IN ('new', 'pending', 'retrying', 'gone', 'dead', 'done')),
    event_id      uuid,
    submission_id uuid,
    notified_at   timestamptz,
    act_at        timestamptz,
    tries         integer NOT NULL DEFAULT 0,
    claims        integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    problem       text,
    deaths        integer NOT NULL DEFAULT 0,
    value         text,
    record_place  text,
    addresses     text NOT NULL DEFAULT '',
    PRIMARY KEY (source, notice_id),
    CHECK ((act_at IS NOT NULL) = (state IN ('pending', 'retrying')))
);
CREATE INDEX notice_act ON notice (source, act_at) WHERE act_at IS NOT NULL;
CREATE INDEX notice_open ON notice (source, notified_at) WHERE act_at IS NOT NULL;
CREATE INDEX notice_dead ON notice (source) WHERE state = 'dead';
