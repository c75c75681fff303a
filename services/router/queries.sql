-- name: insert_bare_leads
-- Placeholders for leads not known yet; returns those that it made, which are locked by being new.
INSERT INTO lead (lead_id) SELECT unnest(%(ids)s::uuid[]) ON CONFLICT DO NOTHING RETURNING lead_id

-- name: lock_leads
-- The known leads, locked in order of their ids.
SELECT lead_id, version, seen_version, state, stage, respond_by, pool, retry_at, rules_version,
       correlation_id, event_id, event_type, document, holders
FROM lead WHERE lead_id = ANY(%(ids)s::uuid[]) ORDER BY lead_id FOR UPDATE

-- name: claim_overdue
-- Leads whose first response is due, the longest due first, but for those that another transaction holds.
SELECT lead_id, version, seen_version, state, stage, respond_by, pool, retry_at, rules_version,
       correlation_id, event_id, event_type, document, holders
FROM lead WHERE respond_by <= %(until)s ORDER BY respond_by LIMIT %(limit)s FOR UPDATE SKIP LOCKED

-- name: claim_parked
-- Parked leads whose pool has somebody free, or that were parked under other rules. However many wait for pools that are
-- full, they cost nothing: an index each for the pools and for the rules.
WITH ready AS (
  SELECT l.lead_id FROM unnest(%(pools)s::text[]) AS p (pool) CROSS JOIN LATERAL (
    SELECT lead_id FROM lead WHERE pool = p.pool AND retry_at <= %(until)s ORDER BY retry_at LIMIT %(limit)s) AS l
  UNION (SELECT lead_id FROM lead WHERE retry_at <= %(until)s AND rules_version < %(rules)s
    ORDER BY rules_version, retry_at LIMIT %(limit)s)
  UNION (SELECT lead_id FROM lead WHERE retry_at <= %(until)s AND rules_version > %(rules)s
    ORDER BY rules_version, retry_at LIMIT %(limit)s)
)
SELECT lead_id, version, seen_version, state, stage, respond_by, pool, retry_at, rules_version,
       correlation_id, event_id, event_type, document, holders
FROM lead WHERE lead_id IN (SELECT lead_id FROM ready)
  AND retry_at <= %(until)s AND (pool = ANY(%(pools)s::text[]) OR rules_version <> %(rules)s)
ORDER BY retry_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED

-- name: put_off_response
-- Move the deadline of a lead that could not be passed on.
UPDATE lead SET respond_by = %(until)s WHERE lead_id = %(id)s

-- name: put_off_retry
-- Let a parked lead rest that could not be tried.
UPDATE lead SET retry_at = %(until)s WHERE lead_id = %(id)s

-- name: read_loads
-- Open leads by rep, as a hint: nothing is locked.
SELECT rep_id, open_leads FROM rep

-- name: insert_bare_reps
-- Placeholders for reps that are new in the rule book.
INSERT INTO rep (rep_id) SELECT unnest(%(ids)s::text[]) ON CONFLICT DO NOTHING

-- name: lock_reps
-- All reps, locked in order of their ids: whoever chooses sees the loads that all choices before it left.
SELECT rep_id, open_leads, number, passes FROM rep ORDER BY rep_id FOR UPDATE

-- name: save_leads
-- Writes the changed leads.
INSERT INTO lead (lead_id, version, seen_version, state, rep_id, holders, stage, respond_by, pool, retry_at,
                  rules_version, correlation_id, event_id, event_type, document)
SELECT * FROM unnest(
    %(lead_id)s::uuid[], %(version)s::integer[], %(seen_version)s::integer[], %(state)s::text[], %(rep_id)s::text[],
    %(holders)s::text[], %(stage)s::text[], %(respond_by)s::timestamptz[], %(pool)s::text[],
    %(retry_at)s::timestamptz[], %(rules_version)s::text[], %(correlation_id)s::text[], %(event_id)s::uuid[],
    %(event_type)s::text[], string_to_array(%(documents)s, E'\x1e', E'\x15'))
ON CONFLICT (lead_id) DO UPDATE SET
    version = excluded.version, seen_version = excluded.seen_version, state = excluded.state,
    rep_id = excluded.rep_id, holders = excluded.holders, stage = excluded.stage, respond_by = excluded.respond_by,
    pool = excluded.pool, retry_at = excluded.retry_at, rules_version = excluded.rules_version,
    correlation_id = excluded.correlation_id, event_id = excluded.event_id, event_type = excluded.event_type,
    document = excluded.document

-- name: save_reps
-- Writes the changed standings.
UPDATE rep SET open_leads = new.open_leads, number = new.number, passes = new.passes
FROM unnest(%(rep_id)s::text[], %(open_leads)s::integer[], %(number)s::bigint[], %(passes)s::jsonb[])
     AS new (rep_id, open_leads, number, passes)
WHERE rep.rep_id = new.rep_id

-- name: published
-- State, as it must stand on leads.assigned, of those leads whose version is higher than the one known.
SELECT lead.lead_id, lead.version, event_id, event_type, document
FROM unnest(%(ids)s::uuid[], %(versions)s::integer[]) AS known (lead_id, version)
JOIN lead ON lead.lead_id = known.lead_id AND lead.version > known.version
