-- Calls that clients asked for and that no controller has taken yet. Whoever takes one removes its
-- row; the call itself has been a row of `calls` from the start.
CREATE TABLE outbound_requests (
    call_id         text PRIMARY KEY REFERENCES calls ON DELETE CASCADE,
    organisation_id uuid NOT NULL,
    trunk_id        uuid NOT NULL,
    config          jsonb CHECK (jsonb_typeof(config) = 'object'),
    first_message   text,
    context         text,
    ring_s          double precision CHECK (ring_s BETWEEN 1 AND 300),
    withheld        boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ON outbound_requests (created_at);

SELECT wall_off('outbound_requests');
