-- name: acknowledged_lost
-- a sender was told 200, and it is neither on the log nor known to qualify
SELECT l.submission_id FROM ledger l
WHERE NOT EXISTS (SELECT FROM log_submission s WHERE s.submission_id = l.submission_id)
  AND NOT EXISTS (SELECT FROM log_notice n WHERE n.inbox_id::text = l.submission_id)
  AND NOT EXISTS (SELECT FROM qualify.submission q WHERE q.submission_id = l.submission_id)
  AND NOT EXISTS (SELECT FROM qualify.inbox i WHERE i.state IN ('dead', 'dropped') AND i.id::text = l.submission_id)

-- name: submission_without_one_end
-- qualify has read it, and it has not exactly one end state
SELECT DISTINCT s.submission_id FROM log_submission s
JOIN reader r ON r.service = 'qualify' AND r.topic = 'leads.received.v1' AND r.partition = s.partition
  AND s.record_offset < r.applied
LEFT JOIN qualify.inbox i ON i.id = s.inbox_id AND i.day = '1970-01-01'
LEFT JOIN qualify.submission q ON q.submission_id = s.submission_id
WHERE (q.submission_id IS NOT NULL)::int + (i.state IS NOT DISTINCT FROM 'dead')::int
  + (i.state IS NOT DISTINCT FROM 'dropped' AND i.reason IS NOT DISTINCT FROM 'erased')::int <> 1

-- name: submission_ended_twice
-- two different events tell its end
SELECT submission_id FROM log_ending GROUP BY submission_id HAVING count(DISTINCT id) > 1

-- name: end_told_otherwise
-- leads.qualified tells another end than qualify's table, or none
SELECT DISTINCT q.submission_id FROM qualify.submission q
JOIN log_submission s ON s.submission_id = q.submission_id
LEFT JOIN log_ending e ON e.submission_id = q.submission_id
WHERE e.end_state IS DISTINCT FROM q.end_state AND NOT EXISTS (
  SELECT FROM log_ending x WHERE x.submission_id = q.submission_id AND x.end_state = q.end_state)
