-- name: step_done_twice
-- two different events tell what became of one step
SELECT enrolment_id || ' step ' || step FROM log_touch GROUP BY enrolment_id, step HAVING count(DISTINCT id) > 1

-- name: step_told_otherwise
-- what became of a step is told otherwise than nurture's table says, or not at all
SELECT DISTINCT s.enrolment_id || ' step ' || s.step || ': ' || s.state FROM nurture.step s
LEFT JOIN log_touch t ON t.enrolment_id = s.enrolment_id::text AND t.step = s.step
WHERE (s.claimed_at IS NULL OR s.claimed_at >= to_timestamp(%(since_ms)s / 1000)) AND CASE
  WHEN t.id IS NOT NULL THEN t.type <> 'touch.' || s.state AND t.at <= to_timestamp(%(taken_ms)s / 1000.0)
  ELSE s.state IN ('sent', 'failed') AND NOT EXISTS (
    SELECT FROM nurture.outbox o WHERE position(s.enrolment_id::text IN o.frame) > 0) END

-- name: mails
-- Mails sent to addresses that ever said no, with how far nurture had read when it sent them.
SELECT t.enrolment_id || ' step ' || t.step, s.address, t.sequence, t.rules_version, t.applied_until
FROM log_touch t JOIN nurture.step s ON s.enrolment_id::text = t.enrolment_id AND s.step = t.step
WHERE t.type = 'touch.sent' AND s.address IN (
  SELECT address FROM log_consent WHERE state IN ('withdrawn', 'suppressed'))

-- name: said
-- What was said about those addresses, oldest version first, with the moment at which it came in.
SELECT c.address, c.channel, c.purpose, c.version, c.state, c.decided_at, to_timestamp(min(r.at_ms) / 1000.0)
FROM log_consent c JOIN log_record r ON r.id = c.cause AND r.topic = 'consents.received.v1'
WHERE c.address IN (SELECT address FROM log_consent WHERE state IN ('withdrawn', 'suppressed'))
GROUP BY c.address, c.channel, c.purpose, c.version, c.state, c.decided_at ORDER BY c.version
