-- The second legs of transferred calls: each is an outgoing call too, and counts until its lease is
-- over. Controllers renew the leases of legs that live; those that they cannot see any more lapse.
-- A live call may be newer than its row in `calls`, so this does not refer to that.
-- Not logged, so that a claim costs no flush: after a crash of the server the legs of before count no more.
CREATE UNLOGGED TABLE outbound_legs (
    call_id         text PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    controller      text NOT NULL,
    renewed_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ON outbound_legs (organisation_id);

SELECT wall_off('outbound_legs');
