-- The leads opened last are told apart by when they were opened: after a stop, partitions are caught up one by one.
ALTER TABLE latest ADD COLUMN at timestamptz;
UPDATE latest t SET at = (l.qualified).opened_at FROM lead l WHERE l.lead_id = t.lead_id;
DELETE FROM latest WHERE at IS NULL;
ALTER TABLE latest ALTER COLUMN at SET NOT NULL;
CREATE INDEX latest_at ON latest (at DESC, id DESC);
