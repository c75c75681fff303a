-- name: version_gap
-- versions of one key do not count up without gap
SELECT topic || ' ' || key || ': ' || count(DISTINCT version) || ' of versions ' || min(version) || '-' || max(version)
FROM log_record WHERE topic = ANY(%(state)s) AND version > 0 GROUP BY topic, key
HAVING count(DISTINCT version) <> max(version) - min(version) + 1

-- name: version_told_twice
-- two different events carry one version
SELECT topic || ' ' || key || ' version ' || version
FROM log_record WHERE topic = ANY(%(state)s) AND version > 0 GROUP BY topic, key, version
HAVING count(*) > 1 AND count(DISTINCT inbox_id) > 1

-- name: same_id_other_bytes
-- an event was published again under its id with other bytes
SELECT topic || ' ' || inbox_id
FROM log_record WHERE topic = ANY(%(told)s) AND writer = ANY(%(writers)s) GROUP BY topic, inbox_id
HAVING count(*) > 1 AND min(digest) <> max(digest)

-- name: state_not_folded
-- a reader has taken an event in, and still knows an older version of the lead
WITH taken AS (
  SELECT r.service, l.topic, l.key, l.inbox_id, l.day, l.version, l.type FROM log_record l
  JOIN reader r ON r.topic = l.topic AND r.partition = l.partition AND l.record_offset < r.applied
  WHERE l.version > 0
)
SELECT DISTINCT 'router ' || t.key || ' version ' || t.version FROM taken t
JOIN router.inbox i ON i.id = t.inbox_id AND i.day = t.day AND i.state = 'done'
LEFT JOIN router.lead x ON x.lead_id::text = t.key
WHERE t.service = 'router' AND t.topic = 'leads.qualified.v1' AND coalesce(x.seen_version, 0) < t.version
  AND t.type IN ('lead.qualified', 'lead.attached', 'lead.rescored')
UNION ALL
SELECT DISTINCT 'nurture ' || t.key || ' version ' || t.version FROM taken t
JOIN nurture.inbox i ON i.id = t.inbox_id AND i.day = t.day AND i.state = 'done'
LEFT JOIN nurture.lead x ON x.lead_id::text = t.key
WHERE t.service = 'nurture' AND t.topic = 'leads.qualified.v1' AND coalesce(x.seen_version, 0) < t.version
  AND t.type IN ('lead.qualified', 'lead.attached', 'lead.rescored')
UNION ALL
SELECT DISTINCT 'analytics ' || t.key || ' version ' || t.version FROM taken t
LEFT JOIN analytics.lead x ON x.lead_id = t.key
WHERE t.service = 'analytics' AND (
  t.topic = 'leads.qualified.v1' AND t.type IN ('lead.qualified', 'lead.attached', 'lead.rescored')
    AND coalesce((x.qualified).version, 0) < t.version
  OR t.topic = 'leads.assigned.v1' AND coalesce((x.assigned).version, 0) < t.version)
