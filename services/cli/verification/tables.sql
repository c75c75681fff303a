-- name: create
-- Temporary tables for what the log holds (log_*), who reads it, what senders, rule books and states say.
CREATE TEMP TABLE log_record (
    topic text, partition int, record_offset bigint, at_ms bigint, key text COLLATE "C", type text COLLATE "C",
    writer text COLLATE "C", id uuid, inbox_id uuid, day date, version int, cause uuid, due_at timestamptz,
    applied_until timestamptz, digest bigint
) ON COMMIT DROP;
CREATE TEMP TABLE log_submission (
    submission_id text COLLATE "C", partition int, record_offset bigint, inbox_id uuid, body_hash text, reused_id uuid
) ON COMMIT DROP;
CREATE TEMP TABLE log_notice (
    inbox_id uuid, source text COLLATE "C", notice_id text COLLATE "C", action text, partition int, record_offset bigint
) ON COMMIT DROP;
CREATE TEMP TABLE log_ending (
    id uuid, submission_id text COLLATE "C", end_state text, partition int, record_offset bigint
) ON COMMIT DROP;
CREATE TEMP TABLE log_assignment (
    id uuid, lead_id text COLLATE "C", version int, state text, rep_id text COLLATE "C", number bigint, load int,
    capacity int, rules_version text COLLATE "C", given boolean
) ON COMMIT DROP;
CREATE TEMP TABLE log_touch (
    id uuid, type text, enrolment_id text COLLATE "C", step int, sequence text, rules_version text,
    applied_until timestamptz, at timestamptz
) ON COMMIT DROP;
CREATE TEMP TABLE log_consent (
    address text COLLATE "C", channel text, purpose text, version int, state text, decided_at timestamptz, cause uuid
) ON COMMIT DROP;
CREATE TEMP TABLE log_identity (person_id text COLLATE "C", version int, address_hash text COLLATE "C") ON COMMIT DROP;
CREATE TEMP TABLE log_outcome (
    lead_id text COLLATE "C", type text, occurred_at timestamptz, by_holder bool, partition int, record_offset bigint
) ON COMMIT DROP;
CREATE TEMP TABLE due_row (id uuid) ON COMMIT DROP;
CREATE TEMP TABLE ledger (submission_id text COLLATE "C") ON COMMIT DROP;
CREATE TEMP TABLE reader (
    service text, topic text, partition int, committed bigint, next_offset bigint, applied bigint, for_ever boolean
) ON COMMIT DROP;
CREATE TEMP TABLE told_state (topic text, key text COLLATE "C", version int, digest bigint) ON COMMIT DROP;
CREATE TEMP TABLE book_capacity (rules_version text COLLATE "C", rep_id text COLLATE "C", capacity int) ON COMMIT DROP;

-- name: parsed
-- A document as jsonb, which knows no NUL character: its escape is left out.
CREATE OR REPLACE FUNCTION pg_temp.parsed(document text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT (CASE WHEN position('\u0000' in document) = 0 THEN document
    ELSE regexp_replace(document, '(?<!\\)((?:\\\\)*)\\u0000', '\1', 'g') END)::jsonb
$$

-- name: prepare
-- One snapshot of all tables, and room to compare a million rows with it; the moment of the snapshot in milliseconds.
SET LOCAL work_mem = '128MB';
SET LOCAL jit = off;
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint

-- name: analyze
-- Tell the planner what was loaded.
ANALYZE log_record, log_submission, log_notice, log_ending, log_assignment, log_touch, log_consent, log_identity, log_outcome,
    due_row, ledger, reader, told_state, book_capacity

-- name: has_tables
-- Whether the service in whose schema this runs has tables.
SELECT to_regclass('fence') IS NOT NULL

-- name: fences
-- Next offset of each partition by the fences of the service in whose schema this runs.
SELECT topic, partition, next_offset FROM fence

-- name: unpublished
-- What of the service in whose schema this runs is decided and not yet known to be published.
SELECT 'outbox', count(*) FROM outbox UNION ALL SELECT 'pending', count(*) FROM pending WHERE frames <> ''

-- name: kept_facts
-- What analytics kept of one topic's events that are not on the log any more.
DECLARE kept NO SCROLL CURSOR FOR
SELECT id, type, key, recorded_at, data, day FROM analytics.inbox i
WHERE topic = %(topic)s AND data IS NOT NULL AND NOT EXISTS (SELECT FROM log_record r WHERE r.inbox_id = i.id)

-- name: next_kept_facts
-- The next page of them.
FETCH 5000 FROM kept

-- name: end_kept_facts
-- No more of them.
CLOSE kept

-- name: by_index
-- Look rows up by their keys, page after page, instead of reading the whole table for each page.
SET LOCAL enable_seqscan = off

-- name: by_any_way
-- Plan freely again.
SET LOCAL enable_seqscan = on

-- name: figures
-- What there is.
SELECT
    (SELECT count(*) FROM (SELECT submission_id FROM log_submission UNION SELECT submission_id FROM qualify.submission) s)
        AS submissions,
    (SELECT count(*) FROM ledger) AS acknowledged,
    (SELECT count(*) FROM qualify.submission WHERE end_state = 'opened') AS opened,
    (SELECT count(*) FROM qualify.submission WHERE end_state = 'attached') AS attached,
    (SELECT count(*) FROM qualify.submission WHERE end_state = 'interest') AS interests,
    (SELECT count(*) FROM qualify.submission WHERE end_state = 'disqualified') AS disqualified,
    (SELECT count(*) FROM qualify.submission WHERE end_state = 'test') AS tests,
    (SELECT count(DISTINCT inbox_id) FROM log_record WHERE topic = 'deadletters.v1') AS dead_letters,
    (SELECT count(*) FROM qualify.lead) AS leads,
    (SELECT count(*) FROM router.lead WHERE holders <> '') AS assigned,
    (SELECT count(*) FROM router.lead WHERE state = 'assigned') AS held,
    (SELECT count(*) FROM router.lead WHERE state = 'parked') AS parked,
    (SELECT count(*) FROM router.lead WHERE state = 'closed') AS closed,
    (SELECT count(DISTINCT id) FROM log_touch WHERE type = 'touch.sent') AS mails_sent,
    (SELECT count(*) FROM nurture.step WHERE uncertain) AS mails_uncertain,
    (SELECT count(*) FROM log_record)
        - (SELECT count(*) FROM (SELECT FROM log_record GROUP BY topic, inbox_id) s) AS repeated_records,
    (SELECT coalesce(sum(greatest(0, e.end_offset - r.applied)), 0) FROM reader r
        JOIN (SELECT topic, partition, max(record_offset) + 1 AS end_offset FROM log_record GROUP BY 1, 2) e
        USING (topic, partition))::bigint AS lag

-- name: keys_people
-- Keys that must stand on people.changed.
SELECT person_id::text FROM qualify.person WHERE version > 0

-- name: keys_assigned
-- Keys that must stand on leads.assigned.
SELECT lead_id::text FROM router.lead WHERE version > 0

-- name: keys_consents
-- Keys that must stand on people.consents.
SELECT address || ':' || channel || ':' || purpose FROM nurture.consent WHERE version > 0
