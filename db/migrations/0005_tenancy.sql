-- Tenants behind a second wall: row-level security, for a role that the API steps down to.

DO $$
BEGIN
    CREATE ROLE sovereign_tenant NOLOGIN;
EXCEPTION
    -- Roles belong to the whole server: another database of it may have made this one just now.
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role sovereign_tenant is missing and this user may not create it'
        USING HINT = 'as a superuser: CREATE ROLE sovereign_tenant; GRANT sovereign_tenant TO '
                     || current_user;
END $$;

DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'sovereign_tenant', 'MEMBER') THEN
        EXECUTE format('GRANT sovereign_tenant TO %I', current_user);
    END IF;
END $$;

-- The tenant that a transaction of the API acts for; null acts for nobody.
CREATE FUNCTION current_organisation() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('sovereign.organisation_id', true), '')::uuid
$$;

-- Lets the tenants' role use a table, and see and write the rows of its own tenant there.
CREATE FUNCTION wall_off(walled regclass, mine text DEFAULT 'organisation_id = current_organisation()')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', walled);
    EXECUTE format('CREATE POLICY own_rows ON %s TO sovereign_tenant USING (%s) WITH CHECK (%s)',
                   walled, mine, mine);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO sovereign_tenant', walled);
END $$;

ALTER TABLE organisations
    ADD COLUMN parent_id               uuid REFERENCES organisations,
    ADD COLUMN content_retention_days  int CHECK (content_retention_days IN (30, 90, 180, 365)),
    ADD COLUMN metadata_retention_days int
               CHECK (metadata_retention_days IN (30, 90, 180, 365, 730)),
    ADD COLUMN webhook_url             text,
    ADD COLUMN webhook_secret          text,
    ADD COLUMN webhook_events          text[] CHECK (webhook_events <@ ARRAY[
        'assistant-request', 'tool-calls', 'status-update', 'end-of-call-report']),
    ADD CHECK (parent_id <> id),
    ADD CHECK ((content_retention_days IS NULL) = (metadata_retention_days IS NULL)),
    ADD CHECK (content_retention_days <= metadata_retention_days);

CREATE INDEX ON organisations (parent_id);

ALTER TABLE api_keys
    ADD COLUMN scopes     text[] NOT NULL DEFAULT '{admin}'
               CHECK (scopes <@ ARRAY['read', 'calls', 'admin'] AND cardinality(scopes) > 0),
    ADD COLUMN expires_at timestamptz(3);

-- A person's number goes when the organisation no longer keeps it, on whichever side it stands.
ALTER TABLE calls ALTER COLUMN dialled DROP NOT NULL;

SELECT wall_off('organisations', 'id = current_organisation()');
-- What else is there of a tenant, such as whose child it is, is not its own to change.
REVOKE INSERT, UPDATE, DELETE ON organisations FROM sovereign_tenant;
GRANT UPDATE (name, content_retention_days, metadata_retention_days, webhook_url, webhook_secret,
              webhook_events, updated_at) ON organisations TO sovereign_tenant;
SELECT wall_off('api_keys');
SELECT wall_off('assistants');
SELECT wall_off('phone_numbers');
SELECT wall_off('extensions');
SELECT wall_off('calls');
SELECT wall_off('turns', 'EXISTS (SELECT FROM calls WHERE id = call_id)');
SELECT wall_off('call_notes', 'EXISTS (SELECT FROM calls WHERE id = call_id)');

-- Windows name keys and calls, not tenants, so the tenants' role takes places through this alone.
ALTER FUNCTION take_place(text, int, interval) SECURITY DEFINER SET search_path = public, pg_temp;
REVOKE ALL ON FUNCTION take_place(text, int, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_place(text, int, interval) TO sovereign_tenant;
