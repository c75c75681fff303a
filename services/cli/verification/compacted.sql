-- name: stale
-- Keys whose last record is not the state in the table: topic, key, version of that record, whether the table is ahead.
-- A record younger than the snapshot may be ahead of it: that key has moved on since.
WITH last AS (
  SELECT DISTINCT ON (topic, key) topic, key, coalesce(version, 0) AS version, digest, at_ms,
    max(coalesce(version, 0)) OVER (PARTITION BY topic, key) AS highest
  FROM log_record WHERE topic = ANY(%(compacted)s) AND record_offset >= 0
  ORDER BY topic, key, at_ms DESC, record_offset DESC
)
SELECT topic, key, coalesce(l.version, 0),
  coalesce(t.version > coalesce(l.version, 0) AND t.version >= coalesce(l.highest, 0), false)
FROM last l FULL JOIN told_state t USING (topic, key)
WHERE (t.digest IS DISTINCT FROM l.digest OR l.highest > t.version)
  AND (coalesce(t.digest, 0) <> 0 OR coalesce(l.digest, 0) <> 0)
  AND NOT (coalesce(l.at_ms, 0) > %(taken_ms)s AND l.version >= coalesce(t.version, 0))
