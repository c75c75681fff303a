CREATE TABLE lead (
    lead_id        uuid PRIMARY KEY,            -- one row, so one current owner
    version        integer NOT NULL DEFAULT 0,  -- last version told on leads.assigned; 0: none
    seen_version   integer NOT NULL DEFAULT 0,  -- highest version seen on leads.qualified; 0: not known yet
    state          text NOT NULL DEFAULT 'unknown' CHECK (state IN ('unknown', 'assigned', 'parked', 'closed')),
    rep_id         text,                        -- current owner
    holders        text NOT NULL DEFAULT '',    -- rep:destination of all owners in order, space between
    stage          text,
    respond_by     timestamptz,                 -- NULL once answered
    pool           text,                        -- parked: whom it waits for; NULL: for other rules
    retry_at       timestamptz,                 -- parked and not left to a person
    rules_version  text,
    correlation_id text,
    event_id       uuid,
    event_type     text,
    document       text,                        -- state as last told
    CHECK ((state = 'assigned') = (rep_id IS NOT NULL)),
    CHECK (respond_by IS NULL OR state = 'assigned'),
    CHECK (retry_at IS NULL OR state = 'parked')
);
CREATE INDEX lead_due ON lead (respond_by) WHERE respond_by IS NOT NULL;
CREATE INDEX lead_parked_pool ON lead (pool, retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX lead_parked_rules ON lead (rules_version, retry_at) WHERE retry_at IS NOT NULL;

CREATE TABLE rep (
    rep_id     text COLLATE "C" PRIMARY KEY,
    open_leads integer NOT NULL DEFAULT 0 CHECK (open_leads >= 0),
    number     bigint NOT NULL DEFAULT 0,       -- assignments so far: 1, 2, 3 ... without gap
    passes     jsonb NOT NULL DEFAULT '{}'      -- turns taken, by pool; see choice.py
) WITH (fillfactor = 50);
