-- name: source_placeholders
-- Make sure that there is a row for every source that told something.
INSERT INTO hydrate_source (source) SELECT unnest(%(sources)s::text[]) ON CONFLICT DO NOTHING;

-- name: notice_placeholders
-- Make sure that there is a row to lock for every lead that is told of.
INSERT INTO notice (source, notice_id) SELECT * FROM unnest(%(sources)s::text[], %(ids)s::text[]) ON CONFLICT DO NOTHING;

-- name: notice_lock
-- These rows, locked in the order of their keys.
SELECT n.source, n.notice_id, n.state, n.event_id, n.submission_id, n.notified_at, n.act_at, n.tries, n.claims,
    n.failing_since, n.problem, n.deaths, n.value, n.record_place, n.addresses
FROM notice n JOIN unnest(%(sources)s::text[], %(ids)s::text[]) AS w (source, notice_id) USING (source, notice_id)
ORDER BY 1, 2 FOR UPDATE OF n;

-- name: notice_write
-- Replace rows by what was decided.
UPDATE notice n SET state = w.state, event_id = w.event_id, submission_id = w.submission_id,
    notified_at = w.notified_at, act_at = w.act_at, tries = w.tries, claims = w.claims,
    failing_since = w.failing_since, problem = w.problem, deaths = w.deaths, value = w.value,
    record_place = w.record_place, addresses = w.addresses
FROM unnest(%(source)s::text[], %(notice_id)s::text[], %(state)s::text[], %(event_id)s::uuid[],
    %(submission_id)s::uuid[], %(notified_at)s::timestamptz[], %(act_at)s::timestamptz[], %(tries)s::int[],
    %(claims)s::int[], %(failing_since)s::timestamptz[], %(problem)s::text[], %(deaths)s::int[], %(value)s::text[],
    %(record_place)s::text[], %(addresses)s::text[])
    AS w (source, notice_id, state, event_id, submission_id, notified_at, act_at, tries, claims, failing_since,
    problem, deaths, value, record_place, addresses)
WHERE (n.source, n.notice_id) = (w.source, w.notice_id);

-- name: sources_due
-- Sources with leads whose time has come, locked; those that another worker claims for at this moment are left to it.
SELECT s.source, s.paced_until, s.not_before, s.failures, s.parked_at, s.parked_why, s.parked_token, s.probe_at, s.parks
FROM hydrate_source s
WHERE s.not_before <= %(now)s
    AND EXISTS (SELECT FROM notice n WHERE n.source = s.source AND n.act_at <= %(now)s)
ORDER BY 1 FOR UPDATE OF s SKIP LOCKED;

-- name: source_lock
-- One source, locked.
SELECT source, paced_until, not_before, failures, parked_at, parked_why, parked_token, probe_at, parks
FROM hydrate_source WHERE source = %(source)s FOR UPDATE;

-- name: source_write
-- Replace a source by what was decided.
UPDATE hydrate_source SET paced_until = %(paced_until)s, not_before = %(not_before)s, failures = %(failures)s,
    parked_at = %(parked_at)s, parked_why = %(parked_why)s, parked_token = %(parked_token)s, probe_at = %(probe_at)s,
    parks = %(parks)s
WHERE source = %(source)s;

-- name: claimable
-- Leads of one source whose time has come, and claimed ones whose lease is over: their ids, locked.
SELECT notice_id FROM notice WHERE source = %(source)s AND act_at <= %(now)s
ORDER BY act_at, notice_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED;

-- name: put_off
-- Try one again later, where it has not ended meanwhile.
UPDATE notice SET act_at = %(until)s, claims = claims + 1
WHERE source = %(source)s AND notice_id = %(notice_id)s AND act_at IS NOT NULL;

-- name: backlog
-- What waits of each source, and since when the oldest does.
SELECT s.source, count(n.act_at), min(n.notified_at) FROM hydrate_source s
LEFT JOIN notice n ON n.source = s.source AND n.act_at IS NOT NULL GROUP BY 1;

-- name: overview
-- How many leads of each source are in each state, and why; those that wait for a parked source count as parked.
SELECT n.source, i.state, count(*), min(n.notified_at) FILTER (WHERE n.act_at IS NOT NULL),
    min(CASE i.state WHEN 'parked' THEN s.parked_at WHEN 'retrying' THEN n.failing_since END), i.why
FROM notice n JOIN hydrate_source s USING (source), LATERAL (SELECT
    CASE WHEN n.act_at IS NOT NULL AND s.parked_at IS NOT NULL THEN 'parked' ELSE n.state END,
    CASE WHEN n.act_at IS NOT NULL AND s.parked_at IS NOT NULL THEN s.parked_why
        WHEN n.state IN ('dead', 'retrying') THEN n.problem END) AS i (state, why)
GROUP BY n.source, i.state, i.why ORDER BY n.source, i.state, i.why;

-- name: retry
-- Let the leads of a source in again that were given up.
UPDATE notice SET state = 'pending', act_at = now(), tries = 0, failing_since = NULL, problem = NULL
WHERE source = %(source)s AND state = 'dead';
