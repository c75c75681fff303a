-- name: two_open_leads
-- a person has two open leads of one product line
SELECT person_id || ' ' || product_line FROM qualify.lead WHERE status = 'open'
GROUP BY person_id, product_line HAVING count(*) > 1

-- name: asked_in_vain
-- a person asked again after the owner had closed the lead, and no lead was opened for that
SELECT q.lead_id::text FROM qualify.lead q JOIN router.lead r ON r.lead_id = q.lead_id AND r.state = 'closed'
CROSS JOIN LATERAL (SELECT pg_temp.parsed(q.document) -> 'lead' AS asked, pg_temp.parsed(r.document) -> 'lead' AS told) d
WHERE q.status IN ('won', 'lost') AND (asked ->> 'submissions')::int > (told ->> 'submissions')::int
  AND NOT EXISTS (SELECT FROM qualify.lead n WHERE n.person_id = q.person_id AND n.product_line = q.product_line
    AND (pg_temp.parsed(n.document) #>> '{lead,opened_at}')::timestamptz = (asked #>> '{repeat,occurred_at}')::timestamptz
    AND n.lead_id <> q.lead_id)

-- name: identifier_of_two_people
-- an address hash stands for two people
WITH last AS (SELECT person_id, max(version) AS version FROM log_identity GROUP BY person_id),
holds AS (
  SELECT address_hash, person_id FROM log_identity JOIN last USING (person_id, version) WHERE address_hash IS NOT NULL
  UNION SELECT i.address_hash, i.person_id::text FROM qualify.identifier i JOIN qualify.person USING (person_id)
)
SELECT address_hash FROM holds GROUP BY address_hash HAVING count(*) > 1

-- name: two_owners
-- the owner told last is not the owner in router's table
SELECT told.lead_id FROM (
  SELECT DISTINCT ON (lead_id) lead_id, version, state, rep_id FROM log_assignment ORDER BY lead_id, version DESC
) told JOIN router.lead l ON l.lead_id::text = told.lead_id AND l.version = told.version
WHERE CASE WHEN told.state = 'assigned' THEN told.rep_id END IS DISTINCT FROM l.rep_id
