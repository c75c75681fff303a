-- Locks are taken in the order consent, lead. A lead's lock covers its enrolments and steps: nobody changes those
-- without it. Whoever changes a consent holds its row and then finds every lead of the address.

CREATE TABLE consent (
    address text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    version integer NOT NULL DEFAULT 0,
    state text CHECK (state IN ('given', 'withdrawn', 'suppressed')),
    decided_at timestamptz,
    event_id uuid,
    value text,
    PRIMARY KEY (address, channel, purpose)
);

CREATE TABLE lead (
    lead_id uuid PRIMARY KEY,
    seen_version integer NOT NULL DEFAULT 0,
    address text,
    outcomes text NOT NULL DEFAULT '',
    document text
);
CREATE INDEX lead_address ON lead (address) WHERE address IS NOT NULL;

CREATE TABLE enrolment (
    enrolment_id uuid PRIMARY KEY,
    lead_id uuid NOT NULL,
    person_id text NOT NULL,
    sequence text NOT NULL,
    correlation_id text NOT NULL,
    started_at timestamptz NOT NULL,
    reason text,
    UNIQUE (lead_id, sequence)
);
CREATE UNIQUE INDEX enrolment_one_active ON enrolment (lead_id) WHERE reason IS NULL;

CREATE TABLE step (
    enrolment_id uuid NOT NULL,
    step integer NOT NULL CHECK (step > 0),
    due_at timestamptz NOT NULL,
    act_at timestamptz,
    state text NOT NULL CHECK (state IN ('due', 'claimed', 'sent', 'failed', 'skipped')),
    attempts integer NOT NULL DEFAULT 0,
    refusals integer NOT NULL DEFAULT 0,
    uncertain boolean NOT NULL DEFAULT false,
    address text,
    claimed_at timestamptz,
    message_id text,
    answer text,
    PRIMARY KEY (enrolment_id, step),
    CHECK ((act_at IS NULL) = (state IN ('sent', 'failed', 'skipped')))
);
CREATE INDEX step_act ON step (act_at) WHERE act_at IS NOT NULL;
CREATE INDEX step_touches ON step (address, claimed_at) WHERE state IN ('claimed', 'sent');
