-- name: consent_placeholders
-- Make sure that there is a row to lock for everything that may be said.
INSERT INTO consent (address, channel, purpose)
SELECT * FROM unnest(%(addresses)s::text[], %(channels)s::text[], %(purposes)s::text[])
ON CONFLICT DO NOTHING;

-- name: consent_lock
-- All that is known about these addresses, locked.
SELECT address, channel, purpose, version, state, decided_at, event_id, value FROM consent
WHERE address = ANY(%(addresses)s) ORDER BY address, channel, purpose FOR UPDATE;

-- name: consent_read
-- The same without a lock: a consent changes only together with the leads of its address, and those are locked.
SELECT address, channel, purpose, version, state, decided_at, event_id, value FROM consent
WHERE address = ANY(%(addresses)s);

-- name: consent_write
-- Replace rows by what was decided.
UPDATE consent SET version = new.version, state = new.state, decided_at = new.decided_at, event_id = new.event_id,
    value = new.value
FROM unnest(%(address)s::text[], %(channel)s::text[], %(purpose)s::text[], %(version)s::int[], %(state)s::text[],
    %(decided_at)s::timestamptz[], %(event_id)s::uuid[], %(value)s::text[])
    AS new (address, channel, purpose, version, state, decided_at, event_id, value)
WHERE (consent.address, consent.channel, consent.purpose) = (new.address, new.channel, new.purpose);

-- name: consent_published
-- The state of those of these keys whose version here is higher than the one given.
SELECT address || ':' || channel || ':' || purpose, version, event_id, value FROM consent
JOIN unnest(%(addresses)s::text[], %(channels)s::text[], %(purposes)s::text[], %(versions)s::int[])
    AS known (address, channel, purpose, known_version) USING (address, channel, purpose)
WHERE version > known_version;

-- name: lead_placeholders
-- Placeholders for leads that events speak of; returns those that it made, which are locked by being new.
INSERT INTO lead (lead_id) SELECT unnest(%(lead_ids)s::uuid[]) ON CONFLICT DO NOTHING RETURNING lead_id;

-- name: lead_lock
-- These leads and all leads of these addresses, locked in the order of their ids.
SELECT lead_id, seen_version, address, outcomes, document FROM lead
WHERE lead_id = ANY(%(lead_ids)s::uuid[]) OR address = ANY(%(addresses)s) ORDER BY lead_id FOR UPDATE;

-- name: lead_write
-- Replace rows by what was decided.
UPDATE lead SET seen_version = new.seen_version, address = new.address, outcomes = new.outcomes, document = new.document
FROM unnest(%(lead_id)s::uuid[], %(seen_version)s::int[], %(address)s::text[], %(outcomes)s::text[],
    %(document)s::text[]) AS new (lead_id, seen_version, address, outcomes, document)
WHERE lead.lead_id = new.lead_id;

-- name: enrolments_of_leads
-- All enrolments of locked leads, ended ones too.
SELECT enrolment_id, lead_id, person_id, sequence, correlation_id, started_at, reason FROM enrolment
WHERE lead_id = ANY(%(lead_ids)s::uuid[]) ORDER BY started_at, enrolment_id;

-- name: open_steps
-- What is due or on its way of these enrolments.
SELECT enrolment_id, step, due_at, act_at, state, attempts, refusals, uncertain, address, claimed_at, message_id, answer,
    failures FROM step WHERE enrolment_id = ANY(%(enrolment_ids)s::uuid[]) AND act_at IS NOT NULL;

-- name: enrolment_write
-- Add enrolments, or say why they ended.
INSERT INTO enrolment (enrolment_id, lead_id, person_id, sequence, correlation_id, started_at, reason)
SELECT * FROM unnest(%(enrolment_id)s::uuid[], %(lead_id)s::uuid[], %(person_id)s::text[], %(sequence)s::text[],
    %(correlation_id)s::text[], %(started_at)s::timestamptz[], %(reason)s::text[])
ON CONFLICT (enrolment_id) DO UPDATE SET reason = excluded.reason;

-- name: step_write
-- Add steps, or say what became of them.
INSERT INTO step (enrolment_id, step, due_at, act_at, state, attempts, refusals, uncertain, address, claimed_at,
    message_id, answer, failures)
SELECT * FROM unnest(%(enrolment_id)s::uuid[], %(step)s::int[], %(due_at)s::timestamptz[], %(act_at)s::timestamptz[],
    %(state)s::text[], %(attempts)s::int[], %(refusals)s::int[], %(uncertain)s::boolean[], %(address)s::text[],
    %(claimed_at)s::timestamptz[], %(message_id)s::text[], %(answer)s::text[], %(failures)s::int[])
ON CONFLICT (enrolment_id, step) DO UPDATE SET due_at = excluded.due_at, act_at = excluded.act_at,
    state = excluded.state, attempts = excluded.attempts, refusals = excluded.refusals,
    uncertain = excluded.uncertain, address = excluded.address, claimed_at = excluded.claimed_at,
    message_id = excluded.message_id, answer = excluded.answer, failures = excluded.failures;

-- name: claim_alone
-- One claim at a time over all workers, so that the cap per address counts right; false when another runs.
SELECT pg_try_advisory_xact_lock(hashtext('caudal.nurture.claim'));

-- name: claimable
-- Steps whose time has come, and claimed ones whose lease is over, as far as all inputs are applied, but for some.
-- Their keys only.
SELECT s.enrolment_id, s.step
FROM step s JOIN enrolment e USING (enrolment_id) JOIN lead l USING (lead_id)
WHERE s.act_at <= %(horizon)s
    AND (s.enrolment_id, s.step) NOT IN (SELECT * FROM unnest(%(but_ids)s::uuid[], %(but_steps)s::int[]))
ORDER BY s.act_at LIMIT %(limit)s FOR UPDATE OF l, e, s SKIP LOCKED;

-- name: due_steps
-- What the claim locked.
SELECT s.enrolment_id, s.step, s.due_at, s.act_at, s.state, s.attempts, s.refusals, s.uncertain, s.address,
    s.claimed_at, s.message_id, s.answer, s.failures,
    e.enrolment_id, e.lead_id, e.person_id, e.sequence, e.correlation_id, e.started_at, e.reason,
    l.lead_id, l.seen_version, l.address, l.outcomes, l.document
FROM step s JOIN enrolment e USING (enrolment_id) JOIN lead l USING (lead_id)
JOIN unnest(%(enrolment_ids)s::uuid[], %(steps)s::int[]) AS mine (enrolment_id, step)
    ON (s.enrolment_id, s.step) = (mine.enrolment_id, mine.step)
ORDER BY s.act_at;

-- name: step_alone
-- One open step and its enrolment, locked with their lead; of the lead nothing is read.
SELECT s.enrolment_id, s.step, s.due_at, s.act_at, s.state, s.attempts, s.refusals, s.uncertain, s.address,
    s.claimed_at, s.message_id, s.answer, s.failures,
    e.enrolment_id, e.lead_id, e.person_id, e.sequence, e.correlation_id, e.started_at, e.reason
FROM step s JOIN enrolment e USING (enrolment_id) JOIN lead l USING (lead_id)
WHERE s.enrolment_id = %(enrolment_id)s AND s.step = %(step)s AND s.act_at IS NOT NULL FOR UPDATE OF l, e, s;

-- name: recent_touches
-- Mails that went, or are on their way, to these addresses.
SELECT address, claimed_at, enrolment_id, step FROM step
WHERE address = ANY(%(addresses)s) AND claimed_at > %(since)s AND state IN ('claimed', 'sent');
