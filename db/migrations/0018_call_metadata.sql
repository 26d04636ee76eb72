-- What an integrator said of a call, shown with it. Calls that were before show none.
ALTER TABLE calls ADD COLUMN metadata jsonb CHECK (jsonb_typeof(metadata) = 'object');
