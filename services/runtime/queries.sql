-- name: fence_rows
-- Make sure that every input partition has its fence row, without waiting for those who hold one.
INSERT INTO fence (topic, partition)
SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[]) AS w (topic, partition)
WHERE NOT EXISTS (SELECT FROM fence f WHERE f.topic = w.topic AND f.partition = w.partition)
ON CONFLICT DO NOTHING

-- name: fence_take
-- Raise the epoch of these partitions and say where they stand.
WITH wanted AS (
    SELECT f.topic, f.partition FROM fence f
    JOIN unnest(%(topics)s::text[], %(partitions)s::int[]) AS w (topic, partition) USING (topic, partition)
    ORDER BY 1, 2 FOR UPDATE OF f
)
UPDATE fence f SET epoch = f.epoch + 1, owner = %(owner)s
FROM wanted w WHERE f.topic = w.topic AND f.partition = w.partition
RETURNING f.topic, f.partition, f.epoch, f.next_offset

-- name: fence_advance
-- Lock the fences of a batch to the commit and move their next offsets; a row that is missing here has another owner.
WITH mine AS (
    SELECT f.topic, f.partition, w.next_offset FROM fence f
    JOIN unnest(%(topics)s::text[], %(partitions)s::int[], %(epochs)s::bigint[], %(offsets)s::bigint[])
      AS w (topic, partition, epoch, next_offset)
      ON f.topic = w.topic AND f.partition = w.partition AND f.epoch = w.epoch
    ORDER BY 1, 2 FOR UPDATE OF f
)
UPDATE fence f SET next_offset = greatest(f.next_offset, m.next_offset)
FROM mine m WHERE f.topic = m.topic AND f.partition = m.partition
RETURNING f.topic, f.partition

-- name: fence_restart
-- Set the next offsets after a gap that an operator has confirmed.
UPDATE fence f SET next_offset = w.next_offset
FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(epochs)s::bigint[], %(offsets)s::bigint[])
  AS w (topic, partition, epoch, next_offset)
WHERE f.topic = w.topic AND f.partition = w.partition AND f.epoch = w.epoch

-- name: fence_check
-- Which of these fences still have the epoch that we took.
SELECT f.topic, f.partition FROM fence f
JOIN unnest(%(topics)s::text[], %(partitions)s::int[], %(epochs)s::bigint[]) AS w (topic, partition, epoch)
  ON f.topic = w.topic AND f.partition = w.partition AND f.epoch = w.epoch

-- name: fence_applied
-- Note until when all inputs of these partitions are applied, under their epochs.
UPDATE fence f SET applied_until = greatest(f.applied_until, w.applied_until)
FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(epochs)s::bigint[], %(moments)s::timestamptz[])
  AS w (topic, partition, epoch, applied_until)
WHERE f.topic = w.topic AND f.partition = w.partition AND f.epoch = w.epoch

-- name: applied_until
-- Moment until which every partition of these topics is applied, with how many of their rows know one.
SELECT min(applied_until), count(applied_until) FROM fence
JOIN unnest(%(topics)s::text[], %(counts)s::int[]) AS w (topic, n) USING (topic)
WHERE partition < n

-- name: inbox_write
-- Remember ids and return those never seen.
INSERT INTO inbox (id, day, body_hash, repair)
SELECT * FROM unnest(%(ids)s::uuid[], %(days)s::date[], %(body_hashes)s::text[], %(repairs)s::int[])
ON CONFLICT DO NOTHING RETURNING id, day

-- name: inbox_days
-- The day partitions that there are.
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'inbox'::regclass AND c.relname ~ '^inbox_[0-9]{8}$' ORDER BY 1

-- name: inbox_known
-- Which of these ids were seen before.
SELECT id, day FROM inbox WHERE id = ANY(%(ids)s::uuid[]) AND day = ANY(%(days)s::date[])

-- name: inbox_copy
-- Remember ids and the events themselves. Fails where another worker remembers one of them at this moment.
COPY inbox (id, day, body_hash, repair, topic, partition, record_offset, type, key, occurred_at, recorded_at, data)
FROM STDIN

-- name: inbox_repair
-- Let a dead one in again, once per repair number.
UPDATE inbox SET state = 'done', reason = NULL, repair = %(repair)s
WHERE id = %(id)s AND day = %(day)s AND state = 'dead' AND repair < %(repair)s RETURNING id

-- name: inbox_repair_data
-- The same, keeping the event as it came this time.
UPDATE inbox SET state = 'done', reason = NULL, repair = %(repair)s, type = %(type)s, key = %(key)s,
  occurred_at = %(occurred_at)s, recorded_at = %(recorded_at)s, data = %(data)s
WHERE id = %(id)s AND day = %(day)s AND state = 'dead' AND repair < %(repair)s RETURNING id

-- name: inbox_bodies
-- Hash of the body that each of these ids came with first.
SELECT id, body_hash FROM inbox
JOIN unnest(%(ids)s::uuid[], %(days)s::date[]) AS w (id, day) USING (id, day)
WHERE body_hash IS NOT NULL

-- name: inbox_settle
-- Note the end state of events that were not simply done.
UPDATE inbox i SET state = w.state, reason = w.reason
FROM unnest(%(ids)s::uuid[], %(days)s::date[], %(states)s::text[], %(reasons)s::text[]) AS w (id, day, state, reason)
WHERE i.id = w.id AND i.day = w.day

-- name: pending_replace
-- Put a batch's events in place of the batch before, which is known to be published.
INSERT INTO pending (topic, partition, frames)
SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(frames)s::bytea[])
ON CONFLICT (topic, partition) DO UPDATE SET frames = excluded.frames

-- name: pending_load
-- What these partitions' last batch had to publish.
SELECT topic, partition, frames FROM pending
JOIN unnest(%(topics)s::text[], %(partitions)s::int[]) AS w (topic, partition) USING (topic, partition)
WHERE frames <> '' ORDER BY 1, 2

-- name: pending_orphans
-- Partitions with something to publish that are none of these.
SELECT topic, partition FROM pending p WHERE frames <> '' AND NOT EXISTS (
    SELECT FROM unnest(%(topics)s::text[], %(partitions)s::int[]) AS w (topic, partition)
    WHERE w.topic = p.topic AND w.partition = p.partition)

-- name: outbox_write
-- Keep events of clocks and calls until the worker that holds their slot relays them.
INSERT INTO outbox (slot, frame)
SELECT slot, frame FROM unnest(%(slots)s::int[], %(frames)s::text[]) WITH ORDINALITY AS w (slot, frame, n) ORDER BY n

-- name: outbox_read
-- Next events of these slots, oldest first.
SELECT id, frame FROM outbox WHERE slot %% %(count)s = ANY(%(partitions)s) ORDER BY id LIMIT %(limit)s

-- name: outbox_done
-- Forget events that are published.
DELETE FROM outbox WHERE id = ANY(%(ids)s)

-- name: waiting_any
-- Whether any event waits.
SELECT EXISTS (SELECT FROM waiting)

-- name: waiting_load
-- Events that wait for these keys, oldest first.
SELECT inbox_id, day, key, topic, partition, record_offset, timestamp_ms, record_key, value, headers FROM waiting
WHERE key = ANY(%(keys)s) ORDER BY timestamp_ms, topic, partition, record_offset

-- name: waiting_keep
-- Keep events until their key is known or their time is over.
INSERT INTO waiting (inbox_id, day, key, due_at, topic, partition, record_offset, timestamp_ms, record_key, value, headers)
SELECT * FROM unnest(%(ids)s::uuid[], %(days)s::date[], %(keys)s::text[], %(due)s::timestamptz[], %(topics)s::text[],
  %(partitions)s::int[], %(offsets)s::bigint[], %(timestamps)s::bigint[], %(record_keys)s::bytea[],
  %(values)s::bytea[], %(headers)s::text[])
ON CONFLICT DO NOTHING

-- name: waiting_forget
-- These events wait no more.
DELETE FROM waiting w USING unnest(%(ids)s::uuid[], %(days)s::date[]) AS d (id, day)
WHERE w.inbox_id = d.id AND w.day = d.day

-- name: waiting_overdue
-- Claim events that waited too long.
SELECT inbox_id, day, key, topic, partition, record_offset, timestamp_ms, record_key, value, headers FROM waiting
WHERE due_at <= %(now)s ORDER BY due_at LIMIT 200 FOR UPDATE SKIP LOCKED

-- name: waiting_put_off
-- Let one event wait longer.
UPDATE waiting SET due_at = %(until)s WHERE inbox_id = %(id)s AND day = %(day)s

-- name: halt_note
-- Stop for good; the first reason stands.
INSERT INTO halt (name, why) VALUES (%(name)s, %(why)s) ON CONFLICT DO NOTHING

-- name: halt_read
-- Why the service stands still.
SELECT name, why FROM halt

-- name: halt_lift
-- Go on after a halt that an operator has confirmed.
DELETE FROM halt WHERE name = ANY(%(names)s)

-- name: rulebook_load
-- The active version of every book, with the offset that made it so.
SELECT a.book, b.body, a.activated_at_offset FROM rulebook_active a JOIN rulebook b USING (book, version)

-- name: rulebook_position
-- Offset of the next record to read from the rule book topic.
SELECT next_offset FROM rulebook_position

-- name: rulebook_publish
-- Keep one version.
INSERT INTO rulebook (book, version, body) VALUES (%(book)s, %(version)s, %(body)s) ON CONFLICT DO NOTHING

-- name: rulebook_body
-- Text of one version.
SELECT body FROM rulebook WHERE book = %(book)s AND version = %(version)s

-- name: rulebook_activate
-- Point the book at a version, unless a later record has done so.
INSERT INTO rulebook_active (book, version, activated_at_offset) VALUES (%(book)s, %(version)s, %(offset)s)
ON CONFLICT (book) DO UPDATE SET version = excluded.version, activated_at_offset = excluded.activated_at_offset
  WHERE rulebook_active.activated_at_offset <= excluded.activated_at_offset

-- name: rulebook_advance
-- Note how far the rule book topic is read; never backwards.
INSERT INTO rulebook_position (next_offset) VALUES (%(next_offset)s)
ON CONFLICT (only_row) DO UPDATE SET next_offset = greatest(rulebook_position.next_offset, excluded.next_offset)
