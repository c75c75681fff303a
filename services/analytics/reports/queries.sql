-- name: funnel
-- Leads by how far they got, over the dimensions asked for.
WITH part AS (
  SELECT CASE WHEN %(by_source)s THEN source END AS source, CASE WHEN %(by_owner)s THEN owner END AS owner,
    CASE WHEN %(by_campaign)s THEN campaign END AS campaign, CASE WHEN %(by_warmth)s THEN warmth END AS warmth,
    CASE WHEN %(by_origin_type)s THEN origin_type END AS origin_type, currency,
    sum(leads) AS leads, sum(assigned) AS assigned, sum(accepted) AS accepted, sum(won) AS won, sum(lost) AS lost,
    sum(returned) AS returned, sum(parked) AS parked, sum(cents) AS cents
  FROM funnel
  WHERE day >= %(since)s AND day < %(until)s
    AND (%(source)s::text IS NULL OR source = %(source)s) AND (%(owner)s::text IS NULL OR owner = %(owner)s)
    AND (%(campaign)s::text IS NULL OR campaign = %(campaign)s) AND (%(warmth)s::text IS NULL OR warmth = %(warmth)s)
    AND (%(origin_type)s::text IS NULL OR origin_type = %(origin_type)s)
  GROUP BY 1, 2, 3, 4, 5, 6
)
SELECT p.source, p.owner, r.name, p.campaign, p.warmth, p.origin_type,
  sum(leads)::bigint, sum(assigned)::bigint, sum(accepted)::bigint, sum(won)::bigint, sum(lost)::bigint,
  sum(returned)::bigint, sum(parked)::bigint, json_object_agg(currency, cents) FILTER (WHERE cents <> 0)
FROM part p LEFT JOIN rep r ON r.rep_id = p.owner
GROUP BY p.source, p.owner, r.name, p.campaign, p.warmth, p.origin_type
HAVING sum(leads) <> 0
ORDER BY sum(leads) DESC, 1, 2, 4, 5, 6

-- name: speed
-- The histogram of speed to lead.
SELECT CASE WHEN %(by_source)s THEN source END, upto_ms, sum(n)::bigint
FROM speed
WHERE day >= %(since)s AND day < %(until)s AND (%(source)s::text IS NULL OR source = %(source)s)
GROUP BY 1, 2 HAVING sum(n) > 0 ORDER BY 1, 2

-- name: submissions
-- Submissions by end state.
SELECT CASE WHEN %(by_source)s THEN source END, sum(n)::bigint,
  coalesce(sum(n) FILTER (WHERE end_state = 'opened'), 0)::bigint,
  coalesce(sum(n) FILTER (WHERE end_state = 'attached'), 0)::bigint,
  coalesce(sum(n) FILTER (WHERE end_state = 'interest'), 0)::bigint,
  coalesce(sum(n) FILTER (WHERE end_state = 'disqualified'), 0)::bigint,
  coalesce(sum(n) FILTER (WHERE end_state = 'test'), 0)::bigint,
  coalesce(sum(n) FILTER (WHERE end_state = 'dead'), 0)::bigint,
  coalesce(sum(n) FILTER (WHERE end_state = 'erased'), 0)::bigint,
  coalesce(sum(n) FILTER (WHERE end_state = 'accepted'), 0)::bigint
FROM submissions
WHERE day >= %(since)s AND day < %(until)s AND (%(source)s::text IS NULL OR source = %(source)s)
GROUP BY 1 HAVING sum(n) > 0 ORDER BY 2 DESC, 1

-- name: deadletters
-- Dead letters by service, topic and reason.
SELECT service, topic, reason, count(*) FILTER (WHERE resolved_at IS NULL), count(resolved_at),
  min(recorded_at), max(recorded_at), (array_agg(detail ORDER BY recorded_at DESC))[1]
FROM dead_letter
WHERE recorded_at >= %(since)s::date AND recorded_at < %(until)s::date
GROUP BY service, topic, reason ORDER BY count(*) DESC, 1, 2, 3

-- name: dead_records
-- Dead letters to repair, as they came.
SELECT id, service, topic, partition, record_offset, reason, detail, recorded_at, event_id, event_type, attempt, headers,
  raw_key, raw_value, sha256, truncated, resolved_at
FROM dead_letter
WHERE resolved_at IS NULL AND (%(service)s::text IS NULL OR service = %(service)s)
  AND (%(topic)s::text IS NULL OR topic = %(topic)s) AND (%(reason)s::text IS NULL OR reason = %(reason)s)
ORDER BY topic, partition, record_offset LIMIT %(limit)s

-- name: resolve
-- Note that dead letters were sent in again.
UPDATE dead_letter SET resolved_at = %(now)s WHERE id = ANY(%(ids)s::uuid[]) AND resolved_at IS NULL
