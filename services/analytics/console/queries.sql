-- name: throughput
-- Events per second and topic since a moment.
SELECT second, topic, sum(n)::bigint FROM throughput WHERE second >= %(since)s GROUP BY second, topic

-- name: waits
-- The histogram of speed to lead of all submissions that arrived since a day.
SELECT upto_ms, sum(n)::bigint FROM speed WHERE day >= %(since)s GROUP BY upto_ms HAVING sum(n) > 0

-- name: dead_waiting
-- Dead letters that wait for repair, by service, topic and reason, latest first.
SELECT service, topic, reason, count(*), max(recorded_at), (array_agg(detail ORDER BY recorded_at DESC))[1]
FROM dead_letter WHERE resolved_at IS NULL
GROUP BY service, topic, reason ORDER BY max(recorded_at) DESC LIMIT 8

-- name: dead_kept
-- How many dead letters wait for repair, and how many of them were written since a moment.
SELECT count(*), count(*) FILTER (WHERE recorded_at >= %(since)s) FROM dead_letter WHERE resolved_at IS NULL

-- name: latest_leads
-- The leads opened last and when, newest first.
SELECT lead_id, at FROM latest ORDER BY at DESC, id DESC LIMIT %(limit)s

-- name: decisions
-- What qualify and router said of these leads; compacted topics' facts lie under the first day.
SELECT key, topic, data FROM inbox
WHERE key = ANY(%(ids)s) AND topic IN ('leads.qualified.v1', 'leads.assigned.v1') AND data IS NOT NULL
  AND (day = '1970-01-01' OR day >= %(since)s)

-- name: waits_of
-- How long these submissions waited for an owner of their lead, in milliseconds.
SELECT submission_id, (extract(epoch FROM assigned_at - received_at) * 1000)::float8 FROM submission
WHERE submission_id = ANY(%(ids)s) AND assigned_at IS NOT NULL AND received_at IS NOT NULL
