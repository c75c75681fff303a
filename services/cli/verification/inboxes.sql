-- name: not_in_inbox
-- a record below the committed offset that the service's inbox does not know
SELECT DISTINCT %(service)s || ' ' || l.topic || '/' || l.partition || '@' || l.record_offset FROM log_record l
JOIN reader r ON r.service = %(service)s AND r.topic = l.topic AND r.partition = l.partition
  AND l.record_offset < r.applied
WHERE NOT EXISTS (
  SELECT FROM inbox i WHERE i.id = l.inbox_id AND i.day = CASE WHEN r.for_ever THEN '1970-01-01'::date ELSE l.day END)

-- name: reused_id_not_noted
-- the id came before with another body, and the inbox does not know this body
SELECT DISTINCT %(service)s || ' ' || s.submission_id FROM log_submission s
JOIN reader r ON r.service = %(service)s AND r.topic = 'leads.received.v1' AND r.partition = s.partition
  AND s.record_offset < r.applied
JOIN inbox i ON i.id = s.inbox_id AND i.body_hash <> s.body_hash
WHERE NOT EXISTS (SELECT FROM inbox j WHERE j.id = s.reused_id)

-- name: offset_ahead_of_fence
-- the group's offset lies beyond what the service has applied
SELECT service || ' ' || topic || '/' || partition || ': ' || committed || ' committed, '
  || coalesce(next_offset::text, 'nothing') || ' applied'
FROM reader WHERE service = %(service)s AND committed > coalesce(next_offset, 0)
