-- What a live call runs on, for a controller that adopts it; removed some minutes after its end.
ALTER TABLE call_reports ADD COLUMN kept jsonb CHECK (jsonb_typeof(kept) = 'object');

CREATE INDEX ON call_reports (call_id) WHERE kept IS NOT NULL;
