-- How often in a row a defect of ours kept a step from being dealt with.
ALTER TABLE step ADD COLUMN failures integer NOT NULL DEFAULT 0;
