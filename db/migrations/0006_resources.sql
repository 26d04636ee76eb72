-- Everything else that an organisation keeps.

CREATE TABLE sip_trunks (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id   uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    name              text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    provider          text,
    -- In the order of fail-over, each `host` or `host:port`; without, the port is the transport's.
    addresses         text[] NOT NULL CHECK (cardinality(addresses) BETWEEN 1 AND 16),
    inbound_addresses text[] NOT NULL DEFAULT '{}',
    outbound_number   text,
    transport         text NOT NULL DEFAULT 'udp' CHECK (transport IN ('udp', 'tcp', 'tls')),
    auth_username     text,
    auth_password     bytea, -- sealed
    is_active         boolean NOT NULL DEFAULT true,
    created_at        timestamptz(3) NOT NULL DEFAULT now(),
    updated_at        timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (id, organisation_id)
);
CREATE INDEX ON sip_trunks (organisation_id, created_at DESC, id DESC);

CREATE TABLE tool_templates (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    description     text,
    tool_type       text NOT NULL CHECK (tool_type IN ('function', 'end_call', 'transfer_call')),
    tool_config     jsonb NOT NULL CHECK (jsonb_typeof(tool_config) = 'object'),
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    updated_at      timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX ON tool_templates (organisation_id, created_at DESC, id DESC);

CREATE TABLE analysis_templates (
    id                     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id        uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    name                   text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    description            text,
    system_prompt          text,
    user_prompt            text,
    schema                 jsonb CHECK (jsonb_typeof(schema) = 'object'),
    messages               jsonb CHECK (jsonb_typeof(messages) = 'array'),
    min_messages_threshold int CHECK (min_messages_threshold >= 0),
    created_at             timestamptz(3) NOT NULL DEFAULT now(),
    updated_at             timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX ON analysis_templates (organisation_id, created_at DESC, id DESC);

CREATE TABLE mcp_servers (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    url             text NOT NULL,
    transport       text NOT NULL CHECK (transport IN ('streamable_http', 'sse')),
    header_names    text[] NOT NULL DEFAULT '{}' CHECK (cardinality(header_names) <= 10),
    headers         bytea, -- sealed JSON object
    timeout_seconds int NOT NULL CHECK (timeout_seconds BETWEEN 5 AND 60),
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    updated_at      timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (id, organisation_id),
    UNIQUE (organisation_id, name),
    CHECK ((cardinality(header_names) = 0) = (headers IS NULL))
);
CREATE INDEX ON mcp_servers (organisation_id, created_at DESC, id DESC);

CREATE TABLE workflows (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    is_active       boolean NOT NULL DEFAULT true,
    definition      jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    updated_at      timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (id, organisation_id)
);
CREATE INDEX ON workflows (organisation_id, created_at DESC, id DESC);

-- Who uses which MCP server: what a config names cannot be deleted, nor named when it is not there.
CREATE TABLE assistant_mcp_servers (
    organisation_id uuid NOT NULL,
    assistant_id    uuid NOT NULL,
    mcp_server_id   uuid NOT NULL,
    PRIMARY KEY (assistant_id, mcp_server_id),
    FOREIGN KEY (assistant_id, organisation_id)
        REFERENCES assistants (id, organisation_id) ON DELETE CASCADE,
    FOREIGN KEY (mcp_server_id, organisation_id) REFERENCES mcp_servers (id, organisation_id)
);
CREATE INDEX ON assistant_mcp_servers (mcp_server_id);

CREATE TABLE workflow_mcp_servers (
    organisation_id uuid NOT NULL,
    workflow_id     uuid NOT NULL,
    mcp_server_id   uuid NOT NULL,
    PRIMARY KEY (workflow_id, mcp_server_id),
    FOREIGN KEY (workflow_id, organisation_id)
        REFERENCES workflows (id, organisation_id) ON DELETE CASCADE,
    FOREIGN KEY (mcp_server_id, organisation_id) REFERENCES mcp_servers (id, organisation_id)
);
CREATE INDEX ON workflow_mcp_servers (mcp_server_id);

ALTER TABLE phone_numbers
    ADD COLUMN transfer_trunk_id uuid,
    ADD COLUMN workflow_id       uuid,
    ADD COLUMN source            text,
    ADD FOREIGN KEY (transfer_trunk_id, organisation_id)
        REFERENCES sip_trunks (id, organisation_id),
    ADD FOREIGN KEY (workflow_id, organisation_id) REFERENCES workflows (id, organisation_id);
CREATE INDEX ON phone_numbers (transfer_trunk_id);
CREATE INDEX ON phone_numbers (workflow_id);

ALTER TABLE assistants
    ADD COLUMN recording_enabled boolean NOT NULL DEFAULT false,
    ADD COLUMN postcall_stt      jsonb CHECK (jsonb_typeof(postcall_stt) = 'object'),
    ADD COLUMN postcall_llm      jsonb CHECK (jsonb_typeof(postcall_llm) = 'object'),
    ADD COLUMN metadata          jsonb CHECK (jsonb_typeof(metadata) = 'object');

CREATE TABLE campaigns (
    id                      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id         uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    name                    text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    assistant_id            uuid, -- null once a finished campaign's assistant was deleted
    status                  text NOT NULL DEFAULT 'draft' CHECK (status IN (
        'draft', 'scheduled', 'paused', 'completed', 'cancelled')),
    system_message_template text,
    schedule_start_time     time(0) NOT NULL DEFAULT '09:00:00',
    schedule_end_time       time(0) NOT NULL DEFAULT '17:00:00',
    timezone                text NOT NULL DEFAULT 'Europe/Amsterdam',
    created_at              timestamptz(3) NOT NULL DEFAULT now(),
    updated_at              timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (id, organisation_id),
    FOREIGN KEY (assistant_id, organisation_id) REFERENCES assistants (id, organisation_id),
    CHECK (assistant_id IS NOT NULL OR status IN ('completed', 'cancelled')),
    CHECK (schedule_start_time < schedule_end_time)
);
CREATE INDEX ON campaigns (organisation_id, created_at DESC, id DESC);
CREATE INDEX ON campaigns (assistant_id);

CREATE TABLE leads (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    position        bigint GENERATED ALWAYS AS IDENTITY, -- the order of arrival
    organisation_id uuid NOT NULL,
    campaign_id     uuid NOT NULL,
    phone_number    text NOT NULL CHECK (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    name            text CHECK (length(name) <= 255),
    variables       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(variables) = 'object'),
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN (
        'pending', 'calling', 'completed', 'failed', 'skipped')),
    call_id         text,
    attempts        int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    last_attempt_at timestamptz(3),
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    FOREIGN KEY (campaign_id, organisation_id)
        REFERENCES campaigns (id, organisation_id) ON DELETE CASCADE,
    UNIQUE (campaign_id, phone_number)
);
CREATE INDEX ON leads (campaign_id, position);
CREATE INDEX ON leads (campaign_id, status);

-- Keys of vendors. `id` is what clients see in the key's place.
CREATE TABLE byok_keys (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    provider        text NOT NULL,
    id              uuid NOT NULL DEFAULT gen_random_uuid(),
    secret          bytea NOT NULL, -- sealed
    config          jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(config) = 'object'),
    verified_at     timestamptz(3),
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    updated_at      timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, provider)
);

CREATE TABLE domains (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id  uuid NOT NULL UNIQUE REFERENCES organisations ON DELETE CASCADE,
    domain_name      text NOT NULL,
    resend_domain_id text,
    status           text NOT NULL DEFAULT 'not_started',
    region           text,
    records          jsonb CHECK (jsonb_typeof(records) = 'array'),
    verified_at      timestamptz(3),
    created_at       timestamptz(3) NOT NULL DEFAULT now(),
    updated_at       timestamptz(3) NOT NULL DEFAULT now()
);

CREATE TABLE chats (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    assistant_id    uuid, -- null once the assistant was deleted
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    updated_at      timestamptz(3) NOT NULL DEFAULT now(),
    FOREIGN KEY (assistant_id, organisation_id) REFERENCES assistants (id, organisation_id)
);
CREATE INDEX ON chats (organisation_id, updated_at DESC, id DESC);
CREATE INDEX ON chats (assistant_id);

CREATE TABLE chat_messages (
    chat_id uuid NOT NULL REFERENCES chats ON DELETE CASCADE,
    number  int NOT NULL CHECK (number >= 0),
    role    text NOT NULL CHECK (role IN ('user', 'assistant')),
    content text NOT NULL,
    at      timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, number)
);

-- Tickets of browsers: each is good for one call.
CREATE TABLE web_calls (
    call_id         text PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    token_sha256    bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    assistant_id    uuid,
    -- The whole config, or what replaces parts of the stored one.
    assistant       jsonb CHECK (jsonb_typeof(assistant) = 'object'),
    expires_at      timestamptz(3) NOT NULL,
    used_at         timestamptz(3),
    created_at      timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX ON web_calls (organisation_id);

-- What was sent, or is to be sent, about a call; `number` counts from 1 within a call.
CREATE TABLE webhook_deliveries (
    call_id    text NOT NULL REFERENCES calls ON DELETE CASCADE,
    number     int NOT NULL CHECK (number >= 1),
    id         uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    event      text NOT NULL CHECK (event IN (
        'assistant-request', 'tool-calls', 'status-update', 'end-of-call-report')),
    url        text NOT NULL,
    state      text NOT NULL DEFAULT 'pending' CHECK (state IN (
        'pending', 'delivered', 'given_up')),
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (call_id, number)
);

CREATE TABLE webhook_attempts (
    call_id     text NOT NULL,
    number      int NOT NULL,
    attempt     int NOT NULL CHECK (attempt >= 1),
    at          timestamptz(3) NOT NULL,
    duration_ms int NOT NULL CHECK (duration_ms >= 0),
    status_code int,
    error       text,
    PRIMARY KEY (call_id, number, attempt),
    FOREIGN KEY (call_id, number) REFERENCES webhook_deliveries ON DELETE CASCADE
);

-- Answers to POSTs that carried an Idempotency-Key, to be given again for 24 hours.
CREATE TABLE idempotent_requests (
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    key             text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint     bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    status          int,   -- null while the first request is under way
    answer          bytea, -- sealed
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, key),
    CHECK ((status IS NULL) = (answer IS NULL))
);
CREATE INDEX ON idempotent_requests (created_at);

-- When content and numbers of a call were erased because its organisation no longer keeps them.
ALTER TABLE calls
    ADD COLUMN content_erased_at  timestamptz(3),
    ADD COLUMN metadata_erased_at timestamptz(3);
CREATE INDEX calls_with_content ON calls (organisation_id, ended_at)
    WHERE content_erased_at IS NULL AND ended_at IS NOT NULL;
CREATE INDEX calls_with_metadata ON calls (organisation_id, ended_at)
    WHERE metadata_erased_at IS NULL AND ended_at IS NOT NULL;
CREATE INDEX leads_of_calls ON leads (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX ON web_calls (expires_at);

-- What usage is counted from, without touching the rows: whole seconds of answered calls that
-- ended, rounded half to even, and the times of calls.
ALTER TABLE calls ADD COLUMN used_s int GENERATED ALWAYS AS (
    greatest(0, round(date_part('epoch', ended_at - answered_at)))::int) STORED;
CREATE INDEX calls_live ON calls (organisation_id) INCLUDE (answered_at) WHERE ended_at IS NULL;
CREATE INDEX calls_used_by_start ON calls (organisation_id, created_at DESC, id DESC)
    INCLUDE (used_s) WHERE ended_at IS NOT NULL AND answered_at IS NOT NULL;
CREATE INDEX calls_used_by_end ON calls (organisation_id, ended_at) INCLUDE (answered_at)
    WHERE answered_at IS NOT NULL AND ended_at IS NOT NULL;

-- Totals of the tenant and of its children, the only thing a parent may read of them. Seconds
-- count from `since`, those of calls in progress until `until`.
CREATE FUNCTION organisation_totals(since timestamptz, until timestamptz)
RETURNS TABLE (id uuid, name text, created_at timestamptz, used_s double precision,
               active_numbers bigint, active_assistants bigint, active_calls bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id, o.name, o.created_at,
           (SELECT coalesce(sum(extract(epoch FROM c.ended_at - greatest(c.answered_at, since))), 0)
              FROM calls AS c
             WHERE c.organisation_id = o.id AND c.answered_at IS NOT NULL AND c.ended_at > since
               AND c.ended_at > c.answered_at)
           + (SELECT coalesce(sum(extract(epoch FROM until - greatest(c.answered_at, since))), 0)
                FROM calls AS c
               WHERE c.organisation_id = o.id AND c.ended_at IS NULL AND c.answered_at < until),
           (SELECT count(*) FROM phone_numbers AS n WHERE n.organisation_id = o.id AND n.is_active),
           (SELECT count(*) FROM assistants AS a WHERE a.organisation_id = o.id AND a.is_active),
           (SELECT count(*) FROM calls AS c WHERE c.organisation_id = o.id AND c.ended_at IS NULL)
      FROM organisations AS o
     WHERE o.id = current_organisation() OR o.parent_id = current_organisation()
     ORDER BY o.created_at DESC, o.id DESC
$$;
REVOKE ALL ON FUNCTION organisation_totals(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION organisation_totals(timestamptz, timestamptz) TO sovereign_tenant;

-- Adds a child of the tenant, which the wall around `organisations` would not let it write.
-- Gives nothing when the tenant is a child itself.
CREATE FUNCTION add_child_organisation(child_name text)
RETURNS TABLE (id uuid, created_at timestamptz)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO organisations (name, parent_id)
    SELECT child_name, o.id FROM organisations AS o
     WHERE o.id = current_organisation() AND o.parent_id IS NULL
    RETURNING id, created_at
$$;
REVOKE ALL ON FUNCTION add_child_organisation(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_child_organisation(text) TO sovereign_tenant;

SELECT wall_off('sip_trunks');
SELECT wall_off('tool_templates');
SELECT wall_off('analysis_templates');
SELECT wall_off('mcp_servers');
SELECT wall_off('workflows');
SELECT wall_off('assistant_mcp_servers');
SELECT wall_off('workflow_mcp_servers');
SELECT wall_off('campaigns');
SELECT wall_off('leads');
SELECT wall_off('byok_keys');
SELECT wall_off('domains');
SELECT wall_off('chats');
SELECT wall_off('chat_messages', 'EXISTS (SELECT FROM chats WHERE id = chat_id)');
SELECT wall_off('web_calls');
SELECT wall_off('webhook_deliveries', 'EXISTS (SELECT FROM calls WHERE id = call_id)');
SELECT wall_off('webhook_attempts', 'EXISTS (SELECT FROM calls WHERE id = call_id)');
SELECT wall_off('idempotent_requests');
