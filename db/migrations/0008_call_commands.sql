-- What clients tell live calls. The API writes a row and wakes the controller of the call, which
-- takes it, does it, and answers in it; then the API removes it. Rows live for seconds.
--
-- Unlogged and without references, so that no step of it waits for a disk: what is here when
-- PostgreSQL crashes is too old to be done.

CREATE UNLOGGED TABLE call_commands (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- their order within a call
    organisation_id uuid NOT NULL,
    call_id         text NOT NULL,
    controller      text NOT NULL,
    command         jsonb NOT NULL CHECK (jsonb_typeof(command) = 'object'),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_at        timestamptz,
    outcome         text CHECK (outcome IN ('done', 'not-active', 'not-understood')),
    CHECK (outcome IS NULL OR taken_at IS NOT NULL)
);

CREATE INDEX ON call_commands (controller, id) WHERE taken_at IS NULL;

SELECT wall_off('call_commands');
