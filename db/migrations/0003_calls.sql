-- Calls and what was said in them. Written by the journal of a controller, in order.

CREATE TABLE calls (
    id              text PRIMARY KEY
                    CHECK (id ~ '^call-(inbound|outbound|web)-[0-9a-hjkmnp-tv-z]{26}$'),
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    -- No foreign keys: a number or assistant deleted while it rings must not lose the call.
    number_id       uuid,
    assistant_id    uuid,
    assistant_name  text,
    direction       text NOT NULL CHECK (direction IN ('inbound', 'outbound', 'web')),
    controller      text NOT NULL,
    caller          text,
    dialled         text NOT NULL,
    codec           text NOT NULL,
    status          text NOT NULL CHECK (status IN (
        'connecting', 'ringing', 'in-progress', 'ended', 'ended-with-error', 'failed',
        'transferred', 'rejected', 'insufficient-credits')),
    end_reason      text CHECK (end_reason IN (
        'user_hangup', 'assistant_hangup', 'transferred', 'max_duration', 'silence_timeout',
        'voicemail', 'rejected', 'no_assistant', 'consent_declined', 'consent_timeout', 'busy',
        'no_answer', 'declined', 'unreachable', 'insufficient_credits', 'provider_error',
        'error')),
    cause           int CHECK (cause BETWEEN 0 AND 127),
    error           text,
    media           jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(media) = 'object'),
    created_at      timestamptz(3) NOT NULL,
    answered_at     timestamptz(3),
    ended_at        timestamptz(3),
    updated_at      timestamptz(3) NOT NULL DEFAULT now(),
    CHECK ((ended_at IS NULL) = (status IN ('connecting', 'ringing', 'in-progress'))),
    CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CHECK (status <> 'in-progress' OR answered_at IS NOT NULL)
);

CREATE INDEX ON calls (organisation_id, created_at DESC, id DESC);
CREATE INDEX ON calls (organisation_id, status, created_at DESC, id DESC);
CREATE INDEX ON calls (organisation_id, assistant_id, created_at DESC, id DESC);
CREATE INDEX ON calls (controller) WHERE ended_at IS NULL;

CREATE TABLE turns (
    call_id            text NOT NULL REFERENCES calls ON DELETE CASCADE,
    number             int NOT NULL CHECK (number >= 0),
    at                 timestamptz(3) NOT NULL,
    user_text          text,
    agent_text         text NOT NULL,
    heard_text         text NOT NULL,
    interrupted        boolean NOT NULL,
    tool_calls         jsonb NOT NULL CHECK (jsonb_typeof(tool_calls) = 'array'),
    user_stopped_ms    int,
    turn_ended_ms      int,
    stt_final_ms       int,
    llm_first_token_ms int,
    first_sentence_ms  int,
    tts_first_byte_ms  int,
    first_packet_ms    int,
    reply_ended_ms     int,
    models             jsonb NOT NULL CHECK (jsonb_typeof(models) = 'object'),
    usage              jsonb NOT NULL CHECK (jsonb_typeof(usage) = 'object'),
    error              text,
    PRIMARY KEY (call_id, number)
);

-- `digest` tells a note written twice from two notes.
CREATE TABLE call_notes (
    call_id text NOT NULL REFERENCES calls ON DELETE CASCADE,
    digest  bytea NOT NULL CHECK (octet_length(digest) = 16),
    at      timestamptz NOT NULL,
    kind    text NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    detail  jsonb NOT NULL CHECK (jsonb_typeof(detail) = 'object'),
    PRIMARY KEY (call_id, digest)
);

CREATE TABLE controllers (
    name       text PRIMARY KEY,
    node       text NOT NULL,
    capacity   int NOT NULL CHECK (capacity >= 0),
    started_at timestamptz(3) NOT NULL DEFAULT now(),
    seen_at    timestamptz(3) NOT NULL DEFAULT now()
);
