-- How many leads a source has sent in each window of its caps.
CREATE TABLE cap_window (
  source text COLLATE "C" NOT NULL,
  window_key text COLLATE "C" NOT NULL,
  used int NOT NULL,
  PRIMARY KEY (source, window_key)
) WITH (fillfactor = 70);

-- The submissions that were counted: one that is sent again keeps its place and takes no other.
CREATE TABLE cap_submission (
  source text COLLATE "C" NOT NULL,
  submission_id text COLLATE "C" NOT NULL,
  counted_at timestamptz NOT NULL,
  PRIMARY KEY (source, submission_id)
);
CREATE INDEX cap_submission_age ON cap_submission (source, counted_at);
