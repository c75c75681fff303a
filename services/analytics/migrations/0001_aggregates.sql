-- What is known of a lead, in groups that each have their own writer. The first field of a group is its age: the
-- later group of two is the greater one, so `greatest` folds events that arrive in any order, any number of times.
CREATE DOMAIN word AS text COLLATE "C";  -- compares as Python does, wherever the database stands
CREATE TYPE lead_qualified AS (
    version int, opened_at timestamptz, source word, origin_type word, campaign word, product_line word,
    warmth word, is_test boolean
);
CREATE TYPE lead_assigned AS (version int, state word);
CREATE TYPE lead_holder AS (version int, rep_id word, pool word, destination word);
CREATE TYPE lead_closing AS (at timestamptz, outcome word, cents bigint, currency word);

-- The engine's inbox holds the facts; a lead's timeline, and a person's submissions, are found by record key.
CREATE INDEX inbox_key ON inbox (key);

CREATE TABLE lead (
    lead_id text COLLATE "C" PRIMARY KEY,
    qualified lead_qualified,
    assigned lead_assigned,
    holder lead_holder,
    closing lead_closing,
    assigned_at timestamptz,
    accepted_at timestamptz
) WITH (fillfactor = 60);  -- room for the row's next versions on its own page, so that no index entry is written

-- In order of rank: a submission's end state is the greatest that was told of it.
CREATE TYPE end_state AS ENUM ('accepted', 'dead', 'disqualified', 'interest', 'attached', 'opened', 'test', 'erased');

CREATE TABLE submission (
    submission_id text COLLATE "C" PRIMARY KEY,
    received_at timestamptz,
    source text,
    fact uuid,
    end_state end_state NOT NULL DEFAULT 'accepted',
    lead_id text COLLATE "C",
    assigned_at timestamptz
) WITH (fillfactor = 60);

-- Aggregates. `shard` is the worker that counted, so that workers do not wait for each other's rows; readers sum.
CREATE TABLE funnel (
    day date, source text, origin_type text, campaign text, owner text, warmth text, currency text, shard smallint,
    leads bigint NOT NULL, assigned bigint NOT NULL, accepted bigint NOT NULL, won bigint NOT NULL,
    lost bigint NOT NULL, returned bigint NOT NULL, parked bigint NOT NULL, cents bigint NOT NULL,
    PRIMARY KEY (day, source, origin_type, campaign, owner, warmth, currency, shard)
) WITH (fillfactor = 50);

CREATE TABLE submissions (
    day date, source text, end_state end_state, shard smallint, n bigint NOT NULL,
    PRIMARY KEY (day, source, end_state, shard)
) WITH (fillfactor = 50);

CREATE TABLE speed (
    day date, source text, upto_ms int, shard smallint, n bigint NOT NULL,
    PRIMARY KEY (day, source, upto_ms, shard)
) WITH (fillfactor = 50);

CREATE TABLE rep (rep_id text PRIMARY KEY, name text NOT NULL);

-- For the console: how much moved in which second, and which leads were opened last. Pruned by a clock.
CREATE TABLE throughput (
    second timestamptz, topic text, shard smallint, n bigint NOT NULL,
    PRIMARY KEY (second, topic, shard)
) WITH (fillfactor = 50);
CREATE TABLE latest (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id text NOT NULL);

CREATE TABLE dead_letter (
    id uuid PRIMARY KEY,
    service text NOT NULL, topic text NOT NULL, partition int NOT NULL, record_offset bigint NOT NULL,
    reason text NOT NULL, detail text NOT NULL, recorded_at timestamptz NOT NULL,
    event_id text, event_type text, attempt int NOT NULL,
    headers text NOT NULL, raw_key text, raw_value text, sha256 text NOT NULL, truncated boolean NOT NULL,
    resolved_at timestamptz
);
CREATE INDEX dead_letter_recorded ON dead_letter (recorded_at);
CREATE INDEX dead_letter_event ON dead_letter (event_id);
CREATE INDEX dead_letter_open ON dead_letter (service, topic, reason) WHERE resolved_at IS NULL;
