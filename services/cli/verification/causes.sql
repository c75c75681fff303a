-- name: cause_unknown
-- its cause is no event that we know, no due row and no call
WITH unknown AS MATERIALIZED (
  SELECT DISTINCT l.topic, l.inbox_id, l.cause FROM log_record l
  WHERE l.topic = ANY(%(told)s) AND l.writer = ANY(%(writers)s) AND l.at_ms >= %(since_ms)s AND l.cause IS NOT NULL
    AND NOT EXISTS (SELECT FROM log_record c WHERE c.id = l.cause)
    AND NOT EXISTS (SELECT FROM log_record c WHERE c.inbox_id = l.cause)
    AND NOT EXISTS (SELECT FROM due_row d WHERE d.id = l.cause)
)
SELECT topic || ' ' || inbox_id FROM unknown u
WHERE NOT EXISTS (SELECT FROM analytics.inbox i WHERE i.id = u.cause)

-- name: clock_without_due_time
-- caused by a clock, and it lacks its due time or how far its service had read
SELECT DISTINCT l.topic || ' ' || l.inbox_id FROM log_record l
WHERE l.topic = ANY(%(told)s) AND l.writer = ANY(%(writers)s) AND (
  (l.due_at IS NULL) <> (l.applied_until IS NULL)
  OR l.due_at IS NULL AND EXISTS (SELECT FROM due_row d WHERE d.id = l.cause))

-- name: clock_fired_early
-- its service had not read everything up to its due time
SELECT DISTINCT topic || ' ' || inbox_id FROM log_record
WHERE topic = ANY(%(told)s) AND writer = ANY(%(writers)s) AND applied_until < due_at
