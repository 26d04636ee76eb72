-- What a SIP trunk needs to work, who is told of its changes, and how it fares on each node.

ALTER TABLE sip_trunks
    ADD COLUMN register         boolean, -- null: when it has an account and names no sources
    ADD COLUMN inbound_auth     boolean NOT NULL DEFAULT false,
    ADD COLUMN media_encryption text CHECK (media_encryption IN ('none', 'sdes')); -- null: with TLS

-- Who calls with an account is looked up by the user's name alone, whoever's account it is.
CREATE UNIQUE INDEX sip_trunks_inbound_username ON sip_trunks (auth_username) WHERE inbound_auth;

CREATE FUNCTION tell_of_trunks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('sovereign_trunks', '');
    RETURN NULL;
END $$;

CREATE TRIGGER tell_of_trunks AFTER INSERT OR UPDATE OR DELETE ON sip_trunks
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_trunks();

-- Written by the controllers; lost with a crash of the server, and written again.
CREATE UNLOGGED TABLE trunk_states (
    trunk_id     uuid NOT NULL REFERENCES sip_trunks ON DELETE CASCADE,
    node         text NOT NULL,
    shared       text, -- the endpoint of the PBX over which its calls come together with others'
    registration text NOT NULL DEFAULT 'unknown' CHECK (registration IN (
        'none', 'trying', 'registered', 'rejected', 'unregistered', 'unknown')),
    addresses    jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(addresses) = 'array'),
    calls        int NOT NULL DEFAULT 0,
    error        text, -- the last one
    error_at     timestamptz(3),
    seen_at      timestamptz(3), -- null before the first look
    PRIMARY KEY (trunk_id, node)
);
CREATE INDEX ON trunk_states (shared) WHERE shared IS NOT NULL;

SELECT wall_off('trunk_states', 'EXISTS (SELECT FROM sip_trunks WHERE id = trunk_id)');
REVOKE INSERT, UPDATE, DELETE ON trunk_states FROM sovereign_tenant;
