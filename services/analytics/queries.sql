-- name: merge_leads
-- Merge partial rows into the leads, as `rows.merge_leads` does; where each stood before, and where it stands now.
INSERT INTO lead AS l (lead_id, qualified, assigned, holder, closing, assigned_at, accepted_at)
SELECT id, q::lead_qualified, a::lead_assigned, h::lead_holder, c::lead_closing, assigned_at, accepted_at
FROM unnest(%(ids)s::text[], %(qualified)s::text[], %(assigned)s::text[], %(holder)s::text[], %(closing)s::text[],
  %(assigned_at)s::timestamptz[], %(accepted_at)s::timestamptz[]) AS d (id, q, a, h, c, assigned_at, accepted_at)
ON CONFLICT (lead_id) DO UPDATE SET
  qualified = greatest(l.qualified, excluded.qualified),
  assigned = greatest(l.assigned, excluded.assigned),
  holder = greatest(l.holder, excluded.holder),
  closing = greatest(l.closing, excluded.closing),
  assigned_at = least(l.assigned_at, excluded.assigned_at),
  accepted_at = least(l.accepted_at, excluded.accepted_at)
RETURNING old.lead_id,
  ((old.qualified).opened_at AT TIME ZONE 'UTC')::date, (old.qualified).source, (old.qualified).origin_type,
  (old.qualified).campaign, (old.qualified).warmth, (old.qualified).is_test, (old.assigned).state,
  (old.holder).rep_id, old.assigned_at IS NOT NULL, old.accepted_at IS NOT NULL,
  (old.closing).outcome, (old.closing).cents, (old.closing).currency,
  ((new.qualified).opened_at AT TIME ZONE 'UTC')::date, (new.qualified).source, (new.qualified).origin_type,
  (new.qualified).campaign, (new.qualified).warmth, (new.qualified).is_test, (new.assigned).state,
  (new.holder).rep_id, new.assigned_at IS NOT NULL, new.accepted_at IS NOT NULL,
  (new.closing).outcome, (new.closing).cents, (new.closing).currency

-- name: standings
-- Where every lead stands: what a recount reads.
SELECT ((l.qualified).opened_at AT TIME ZONE 'UTC')::date, (l.qualified).source, (l.qualified).origin_type,
  (l.qualified).campaign, (l.qualified).warmth, (l.qualified).is_test, (l.assigned).state,
  (l.holder).rep_id, l.assigned_at IS NOT NULL, l.accepted_at IS NOT NULL,
  (l.closing).outcome, (l.closing).cents, (l.closing).currency
FROM lead l

-- name: merge_submissions
-- Merge partial rows into the submissions, as `rows.merge_submissions` does; where each stood before, and stands now.
INSERT INTO submission AS s (submission_id, received_at, source, fact, end_state, lead_id, assigned_at)
SELECT * FROM unnest(%(ids)s::text[], %(received_at)s::timestamptz[], %(sources)s::text[], %(facts)s::uuid[],
  %(end_states)s::end_state[], %(lead_ids)s::text[], %(assigned_at)s::timestamptz[])
ON CONFLICT (submission_id) DO UPDATE SET
  received_at = coalesce(s.received_at, excluded.received_at),
  source = coalesce(s.source, excluded.source),
  fact = coalesce(s.fact, excluded.fact),
  end_state = greatest(s.end_state, excluded.end_state),
  lead_id = CASE WHEN excluded.end_state > s.end_state THEN excluded.lead_id ELSE s.lead_id END,
  assigned_at = least(s.assigned_at, excluded.assigned_at)
RETURNING old.submission_id,
  (old.received_at AT TIME ZONE 'UTC')::date, old.source, old.end_state,
  (extract(epoch FROM old.assigned_at - old.received_at) * 1000)::float8,
  (new.received_at AT TIME ZONE 'UTC')::date, new.source, new.end_state,
  (extract(epoch FROM new.assigned_at - new.received_at) * 1000)::float8

-- name: arrivals
-- Where every submission stands: what a recount reads.
SELECT (received_at AT TIME ZONE 'UTC')::date, source, end_state,
  (extract(epoch FROM assigned_at - received_at) * 1000)::float8
FROM submission

-- name: kept_funnel
-- The funnel as kept, all shards together.
SELECT day, source, origin_type, campaign, owner, warmth, currency, sum(leads)::bigint, sum(assigned)::bigint,
  sum(accepted)::bigint, sum(won)::bigint, sum(lost)::bigint, sum(returned)::bigint, sum(parked)::bigint,
  sum(cents)::bigint
FROM funnel GROUP BY day, source, origin_type, campaign, owner, warmth, currency

-- name: kept_submissions
-- Submissions by end state as kept, all shards together.
SELECT day, source, end_state, sum(n)::bigint FROM submissions GROUP BY day, source, end_state

-- name: kept_speed
-- The histogram of speed to lead as kept, all shards together.
SELECT day, source, upto_ms, sum(n)::bigint FROM speed GROUP BY day, source, upto_ms

-- name: add_funnel
-- Add contributions to this shard's rows of the funnel.
INSERT INTO funnel AS f
SELECT day, source, origin_type, campaign, owner, warmth, currency, %(shard)s,
  leads, assigned, accepted, won, lost, returned, parked, cents
FROM unnest(%(day)s::date[], %(source)s::text[], %(origin_type)s::text[], %(campaign)s::text[], %(owner)s::text[],
  %(warmth)s::text[], %(currency)s::text[], %(leads)s::bigint[], %(assigned)s::bigint[], %(accepted)s::bigint[],
  %(won)s::bigint[], %(lost)s::bigint[], %(returned)s::bigint[], %(parked)s::bigint[], %(cents)s::bigint[])
  AS d (day, source, origin_type, campaign, owner, warmth, currency, leads, assigned, accepted, won, lost, returned,
    parked, cents)
ON CONFLICT (day, source, origin_type, campaign, owner, warmth, currency, shard) DO UPDATE SET
  leads = f.leads + excluded.leads, assigned = f.assigned + excluded.assigned,
  accepted = f.accepted + excluded.accepted, won = f.won + excluded.won, lost = f.lost + excluded.lost,
  returned = f.returned + excluded.returned, parked = f.parked + excluded.parked, cents = f.cents + excluded.cents

-- name: add_submissions
-- Add contributions to this shard's submissions by end state.
INSERT INTO submissions AS a
SELECT day, source, end_state, %(shard)s, n
FROM unnest(%(day)s::date[], %(source)s::text[], %(end_state)s::end_state[], %(n)s::bigint[])
  AS d (day, source, end_state, n)
ON CONFLICT (day, source, end_state, shard) DO UPDATE SET n = a.n + excluded.n

-- name: add_speed
-- Add contributions to this shard's histogram of speed to lead.
INSERT INTO speed AS a
SELECT day, source, upto_ms, %(shard)s, n
FROM unnest(%(day)s::date[], %(source)s::text[], %(upto_ms)s::int[], %(n)s::bigint[]) AS d (day, source, upto_ms, n)
ON CONFLICT (day, source, upto_ms, shard) DO UPDATE SET n = a.n + excluded.n

-- name: add_throughput
-- Add this batch's events to the seconds in which they were written.
INSERT INTO throughput AS a
SELECT second, topic, %(shard)s, n
FROM unnest(%(second)s::timestamptz[], %(topic)s::text[], %(n)s::bigint[]) AS d (second, topic, n)
ON CONFLICT (second, topic, shard) DO UPDATE SET n = a.n + excluded.n

-- name: name_reps
-- Remember names of reps that are new or changed, without locking those that are not.
INSERT INTO rep (rep_id, name)
SELECT rep_id, name FROM unnest(%(ids)s::text[], %(names)s::text[]) AS d (rep_id, name)
WHERE NOT EXISTS (SELECT FROM rep r WHERE r.rep_id = d.rep_id AND r.name = d.name)
ON CONFLICT (rep_id) DO UPDATE SET name = excluded.name

-- name: note_latest
-- Remember the leads opened last.
INSERT INTO latest (at, lead_id) SELECT * FROM unnest(%(times)s::timestamptz[], %(ids)s::text[])

-- name: keep_dead_letters
-- Keep dead letters for repair.
INSERT INTO dead_letter (id, service, topic, partition, record_offset, reason, detail, recorded_at, event_id, event_type,
  attempt, headers, raw_key, raw_value, sha256, truncated)
SELECT * FROM unnest(%(id)s::uuid[], %(service)s::text[], %(topic)s::text[], %(partition)s::int[], %(offset)s::bigint[],
  %(reason)s::text[], %(detail)s::text[], %(recorded_at)s::timestamptz[], %(event_id)s::text[], %(event_type)s::text[],
  %(attempt)s::int[], %(headers)s::text[], %(raw_key)s::text[], %(raw_value)s::text[], %(sha256)s::text[],
  %(truncated)s::boolean[])
ON CONFLICT (id) DO NOTHING

-- name: prune
-- Forget what only the console's last minutes need, and dead letters past their time for repair.
WITH seconds AS (
  DELETE FROM throughput WHERE second < %(now)s::timestamptz - interval '1 hour'
), openings AS (
  DELETE FROM latest WHERE at < (SELECT at FROM latest ORDER BY at DESC OFFSET 500 LIMIT 1)
)
DELETE FROM dead_letter WHERE recorded_at < %(now)s::timestamptz - interval '90 days'

-- name: prune_turn
-- Whether it is this worker's turn to prune: nobody else does at this moment.
SELECT pg_try_advisory_xact_lock(hashtext('caudal.analytics.prune'))

-- name: facts_of_lead
-- Events keyed by a lead, as they were published.
SELECT id, topic, type, occurred_at, recorded_at, data FROM inbox
WHERE key = %(lead_id)s AND data IS NOT NULL ORDER BY recorded_at LIMIT 2000

-- name: facts_of_submissions
-- The arrivals of these submissions.
SELECT i.id, i.topic, i.type, i.occurred_at, i.recorded_at, i.data
FROM submission s JOIN inbox i ON i.id = s.fact AND i.day IN ((s.received_at AT TIME ZONE 'UTC')::date, '1970-01-01')
WHERE s.submission_id = ANY(%(ids)s) AND i.data IS NOT NULL

-- name: leads_of_identities
-- Leads of the submissions that arrived under these identity hashes.
SELECT DISTINCT s.lead_id FROM inbox i JOIN submission s ON s.fact = i.id
WHERE i.key = ANY(%(identities)s) AND i.topic = 'leads.received.v1' AND s.lead_id IS NOT NULL

-- name: facts_of_keys
-- Events of one topic under these keys.
SELECT id, data FROM inbox WHERE key = ANY(%(keys)s) AND topic = %(topic)s AND data IS NOT NULL

-- name: leads_that_exist
-- Those of these ids that are leads.
SELECT lead_id FROM lead WHERE lead_id = ANY(%(ids)s)

-- name: newest_first
-- These ids, the lead that was opened last first; what is no lead (an interest, say) comes last.
SELECT one FROM unnest(%(ids)s::text[]) AS one LEFT JOIN lead ON lead_id = one
ORDER BY (qualified).opened_at DESC NULLS LAST, one

-- name: leads_by_id
-- The lead of this id, or that this submission led to.
SELECT lead_id FROM lead WHERE lead_id = %(id)s
UNION SELECT lead_id FROM submission WHERE submission_id = %(id)s AND lead_id IS NOT NULL
