-- name: end_not_counted
-- analytics has read a submission's end, and counts it otherwise
SELECT DISTINCT e.submission_id FROM log_ending e
JOIN reader r ON r.service = 'analytics' AND r.topic = 'leads.qualified.v1' AND r.partition = e.partition
  AND e.record_offset < r.applied
LEFT JOIN analytics.submission a ON a.submission_id = e.submission_id
WHERE a.end_state::text IS DISTINCT FROM e.end_state AND a.end_state::text IS DISTINCT FROM 'erased'

-- name: arrival_not_counted
-- analytics has read a submission, and does not count its arrival
SELECT DISTINCT s.submission_id FROM log_submission s
JOIN reader r ON r.service = 'analytics' AND r.topic = 'leads.received.v1' AND r.partition = s.partition
  AND s.record_offset < r.applied
LEFT JOIN analytics.submission a ON a.submission_id = s.submission_id
WHERE a.received_at IS NULL

-- name: outcome_not_counted
-- analytics has read an outcome, and its lead's milestones do not show it
SELECT DISTINCT o.lead_id || ' ' || o.type FROM log_outcome o
JOIN reader r ON r.service = 'analytics' AND r.topic = 'leads.outcomes.v1' AND r.partition = o.partition
  AND o.record_offset < r.applied
LEFT JOIN analytics.lead l ON l.lead_id = o.lead_id
WHERE o.type = 'lead.accepted' AND (l.accepted_at IS NULL OR l.accepted_at > o.occurred_at)
  OR (o.type = 'lead.won' OR o.type IN ('lead.lost', 'lead.returned') AND o.by_holder)
    AND ((l.closing).at IS NULL OR (l.closing).at < o.occurred_at)
