-- name: make_windows
-- Make sure that there is a row to lock for each window; says which of them are new.
INSERT INTO cap_window (source, window_key, used)
SELECT %(source)s, key, 0 FROM unnest(%(keys)s::text[]) AS key
ON CONFLICT DO NOTHING
RETURNING window_key;

-- name: lock_windows
-- How many leads each window has counted, locked: whoever counts for this source waits for us.
SELECT window_key, used FROM cap_window
WHERE source = %(source)s AND window_key = ANY(%(keys)s::text[]) ORDER BY window_key FOR UPDATE;

-- name: used
-- How many leads each window has counted.
SELECT window_key, used FROM cap_window WHERE source = %(source)s AND window_key = ANY(%(keys)s::text[]);

-- name: counted
-- Which of these submissions have been counted before.
SELECT submission_id FROM cap_submission
WHERE source = %(source)s AND submission_id = ANY(%(ids)s::text[]);

-- name: count
-- Count these submissions in each window.
WITH written AS (
    INSERT INTO cap_submission (source, submission_id, counted_at)
    SELECT %(source)s, id, %(now)s FROM unnest(%(ids)s::text[]) AS id
    ON CONFLICT DO NOTHING
)
UPDATE cap_window SET used = used + %(number)s
WHERE source = %(source)s AND window_key = ANY(%(keys)s::text[]);

-- name: forget
-- Submissions counted so long ago that nobody sends them again.
DELETE FROM cap_submission WHERE source = %(source)s AND counted_at < %(before)s;
