-- What is sent about a call, and what is made of it when it is over.

ALTER TABLE calls
    ADD COLUMN summary         text,
    ADD COLUMN analysis_result jsonb CHECK (jsonb_typeof(analysis_result) = 'object');

-- How each call was set up when it came in, for what is sent about it later, and how far the work
-- after its end is. Only for our own processes, since it holds secrets: tenants have no access.
CREATE TABLE call_reports (
    call_id        text PRIMARY KEY REFERENCES calls ON DELETE CASCADE,
    number_name    text,
    assistant      jsonb NOT NULL CHECK (jsonb_typeof(assistant) = 'object'),
    webhook_url    text,
    webhook_secret text,
    webhook_events text[] NOT NULL DEFAULT '{}',
    state          text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'due', 'done')),
    -- Null until it is known.
    summary        text CHECK (summary IN ('written', 'failed', 'skipped')),
    analysis       text CHECK (analysis IN ('written', 'failed', 'skipped')),
    due_at         timestamptz, -- while somebody works on it: when others may take it over
    taken          int NOT NULL DEFAULT 0, -- how often it was taken, which tells takers apart
    tries          int NOT NULL DEFAULT 0, -- of the step in work
    CHECK (webhook_url IS NOT NULL OR webhook_events = '{}'),
    CHECK (state <> 'due' OR due_at IS NOT NULL)
);
CREATE INDEX ON call_reports (due_at) WHERE state = 'due';

ALTER TABLE webhook_deliveries
    ADD COLUMN facts    jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(facts) = 'object'),
    ADD COLUMN due_at   timestamptz NOT NULL DEFAULT now(), -- during an attempt: its last moment
    ADD COLUMN taken_at timestamptz,                        -- when the last attempt began
    ADD COLUMN attempts int NOT NULL DEFAULT 0,             -- in all
    ADD COLUMN tries    int NOT NULL DEFAULT 0;             -- since it was queued last
CREATE INDEX ON webhook_deliveries (due_at) WHERE state = 'pending';

-- Queues the news that the status of a call changed, with the change itself or not at all, whoever
-- changes it; and after the end the work that remains.
CREATE FUNCTION tell_of_status() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.status <> 'in-progress' AND NEW.ended_at IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO webhook_deliveries (call_id, number, event, url, facts)
    SELECT NEW.id,
           (SELECT coalesce(max(number), 0) + 1 FROM webhook_deliveries WHERE call_id = NEW.id),
           'status-update', webhook_url,
           jsonb_strip_nulls(jsonb_build_object(
               'status', NEW.status, 'error', NEW.error, 'end_reason', NEW.end_reason))
      FROM call_reports
     WHERE call_id = NEW.id AND 'status-update' = ANY (webhook_events);
    IF NEW.ended_at IS NOT NULL THEN
        UPDATE call_reports SET state = 'due', due_at = now()
         WHERE call_id = NEW.id AND state = 'open';
    END IF;
    PERFORM pg_notify('sovereign_work', '');
    RETURN NULL;
END $$;

REVOKE ALL ON FUNCTION tell_of_status() FROM PUBLIC;

CREATE TRIGGER tell_of_status AFTER UPDATE OF status ON calls
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION tell_of_status();
