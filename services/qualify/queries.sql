-- name: propose_identifiers
-- Insert the address hashes that are not known, each with the person that the batch would create for it; say which.
INSERT INTO identifier (address_hash, person_id)
SELECT * FROM unnest(%(hashes)s::text[], %(people)s::uuid[])
ON CONFLICT DO NOTHING RETURNING address_hash

-- name: lock_identifiers
-- Lock known address hashes and say who is known by each.
SELECT address_hash, person_id FROM identifier WHERE address_hash = ANY(%(hashes)s) ORDER BY address_hash FOR UPDATE

-- name: people_of_leads
-- Whose leads these are; that never changes, so it needs no lock.
SELECT DISTINCT person_id FROM lead WHERE lead_id = ANY(%(leads)s::uuid[])

-- name: places_of_activities
-- Whose activities these are, and for which lead they count; that never changes, so it needs no lock.
SELECT person_id, lead_id FROM activity WHERE activity_id = ANY(%(activities)s)

-- name: lock_persons
-- Lock people and read their records.
SELECT person_id, version, event_id, event_type, document, submissions FROM person
WHERE person_id = ANY(%(people)s::uuid[]) ORDER BY person_id FOR UPDATE

-- name: lock_leads
-- Lock the open leads of these people, and leads by id, and read their states.
SELECT lead_id, person_id, product_line, status, version, document, points, points_at FROM lead
WHERE lead_id IN (
  SELECT lead_id FROM lead WHERE person_id = ANY(%(people)s::uuid[]) AND status = 'open'
  UNION SELECT unnest(%(leads)s::uuid[]))
ORDER BY lead_id FOR UPDATE

-- name: lock_activities
-- Lock activities that may be retracted.
SELECT activity_id, person_id, lead_id, points, at, retracted FROM activity
WHERE activity_id = ANY(%(activities)s) ORDER BY activity_id FOR UPDATE

-- name: own_identifiers
-- Say who is known by these address hashes.
UPDATE identifier i SET person_id = d.person_id
FROM unnest(%(hashes)s::text[], %(people)s::uuid[]) AS d (address_hash, person_id)
WHERE i.address_hash = d.address_hash

-- name: keep_persons
-- Write people's records.
INSERT INTO person (person_id, version, event_id, event_type, document, submissions)
SELECT * FROM unnest(%(people)s::uuid[], %(versions)s::int[], %(event_ids)s::uuid[], %(event_types)s::text[],
  string_to_array(%(documents)s, E'\x1e', E'\x15'), %(submissions)s::int[])
ON CONFLICT (person_id) DO UPDATE SET version = excluded.version, event_id = excluded.event_id,
  event_type = excluded.event_type, document = excluded.document, submissions = excluded.submissions

-- name: keep_leads
-- Write leads' states, in the order given: closed leads first, so that they make room for open ones.
INSERT INTO lead (lead_id, person_id, product_line, status, version, document, points, points_at)
SELECT * FROM unnest(%(leads)s::uuid[], %(people)s::uuid[], %(product_lines)s::text[], %(statuses)s::text[],
  %(versions)s::int[], string_to_array(%(documents)s, E'\x1e', E'\x15'), %(points)s::float8[], %(points_at)s::timestamptz[])
ON CONFLICT (lead_id) DO UPDATE SET status = excluded.status, version = excluded.version,
  document = excluded.document, points = excluded.points, points_at = excluded.points_at

-- name: keep_submissions
-- Write how submissions ended; the first end stays.
INSERT INTO submission (submission_id, lead_id, person_id, end_state)
SELECT * FROM unnest(%(submissions)s::text[], %(leads)s::uuid[], %(people)s::uuid[], %(end_states)s::text[])
ON CONFLICT DO NOTHING

-- name: keep_activities
-- Write activities, and that some are retracted.
INSERT INTO activity (activity_id, person_id, lead_id, points, at, retracted)
SELECT * FROM unnest(%(activities)s::text[], %(people)s::uuid[], %(leads)s::uuid[], %(points)s::float8[],
  %(at)s::timestamptz[], %(retracted)s::boolean[])
ON CONFLICT (activity_id) DO UPDATE SET retracted = excluded.retracted

-- name: published_persons
-- The present state of those people whose version is higher than the one given.
SELECT p.person_id, p.version, p.event_id, p.event_type, p.document FROM person p
JOIN unnest(%(people)s::uuid[], %(versions)s::int[]) AS d (person_id, version) USING (person_id)
WHERE p.version > d.version
