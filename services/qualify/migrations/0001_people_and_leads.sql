-- Address hashes and the person known by each. A row whose person does not exist is a placeholder: it names nobody.
CREATE TABLE identifier (
  address_hash text COLLATE "C" PRIMARY KEY,
  person_id uuid
);

-- The golden record as last published: id, type, version and data are what must stand on the compacted topic.
CREATE TABLE person (
  person_id uuid PRIMARY KEY,
  version int NOT NULL,
  event_id uuid NOT NULL,
  event_type text NOT NULL,
  document text NOT NULL,
  submissions int NOT NULL
) WITH (fillfactor = 90);

-- A lead's state as last published, and its engagement: points as worth at points_at.
CREATE TABLE lead (
  lead_id uuid PRIMARY KEY,
  person_id uuid NOT NULL,
  product_line text NOT NULL,
  status text NOT NULL,
  version int NOT NULL,
  document text NOT NULL,
  points float8 NOT NULL,
  points_at timestamptz
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX one_open_lead ON lead (person_id, product_line) WHERE status = 'open';

-- How each submission ended.
CREATE TABLE submission (
  submission_id text COLLATE "C" PRIMARY KEY,
  lead_id uuid NOT NULL,
  person_id uuid,
  end_state text NOT NULL CHECK (end_state IN ('opened', 'attached', 'interest', 'disqualified', 'test'))
);

-- What each activity was worth and for whom, so that it can be retracted.
CREATE TABLE activity (
  activity_id text COLLATE "C" PRIMARY KEY,
  person_id uuid NOT NULL,
  lead_id uuid,
  points float8 NOT NULL,
  at timestamptz NOT NULL,
  retracted boolean NOT NULL
);
