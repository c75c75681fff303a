-- name: notice_without_row
-- intake has read a notice of a lead told by id, and its queue does not know that lead
SELECT DISTINCT l.source || ' ' || l.notice_id FROM log_notice l
JOIN reader r ON r.service = 'intake' AND r.topic = 'leads.notified.v1' AND r.partition = l.partition
  AND l.record_offset < r.applied
WHERE NOT EXISTS (SELECT FROM intake.notice n
    WHERE n.source = l.source AND n.notice_id = l.notice_id AND n.state <> 'new')
  AND NOT EXISTS (SELECT FROM intake.inbox i WHERE i.id = l.inbox_id AND i.day = '1970-01-01' AND i.state = 'dead')

-- name: deleted_not_gone
-- intake has read that the source erased a lead, and its queue still counts on it
SELECT DISTINCT l.source || ' ' || l.notice_id FROM log_notice l
JOIN reader r ON r.service = 'intake' AND r.topic = 'leads.notified.v1' AND r.partition = l.partition
  AND l.record_offset < r.applied
JOIN intake.notice n ON n.source = l.source AND n.notice_id = l.notice_id AND n.state <> 'gone'
WHERE l.action = 'deleted'

-- name: hydrated_lead_lost
-- a lead was read from its source, and it is neither on the log nor known to qualify
SELECT n.source || ' ' || n.notice_id FROM intake.notice n
WHERE n.state = 'done'
  AND NOT EXISTS (SELECT FROM log_submission s WHERE s.submission_id = n.submission_id::text)
  AND NOT EXISTS (SELECT FROM qualify.submission q WHERE q.submission_id = n.submission_id::text)
  AND NOT EXISTS (SELECT FROM qualify.inbox i WHERE i.state IN ('dead', 'dropped') AND i.id = n.submission_id)
