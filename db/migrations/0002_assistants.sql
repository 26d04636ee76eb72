-- Who answers, and on which number.

CREATE TABLE assistants (
    id                          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id             uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    name                        text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    business_name               text,
    notification_email          text,
    notification_emails         text[] CHECK (cardinality(notification_emails) <= 5),
    first_message               text,
    is_active                   boolean NOT NULL DEFAULT true,
    max_duration_seconds        int CHECK (max_duration_seconds BETWEEN 10 AND 14400),
    autonomous_silence_handling boolean NOT NULL DEFAULT false,
    silence_timeout_seconds     double precision
                                CHECK (silence_timeout_seconds BETWEEN 2 AND 600),
    voicemail_detection         boolean,
    voicemail_message           text,
    gdpr_mode                   boolean NOT NULL DEFAULT false,
    webhook_url                 text,
    webhook_secret              text,
    webhook_events              text[] CHECK (webhook_events <@ ARRAY[
        'assistant-request', 'tool-calls', 'status-update', 'end-of-call-report']),
    analysis_plan               jsonb CHECK (jsonb_typeof(analysis_plan) = 'object'),
    -- A config block that is null follows the platform's default, whatever that is at the time.
    stt_config                  jsonb CHECK (jsonb_typeof(stt_config) = 'object'),
    llm_config                  jsonb CHECK (jsonb_typeof(llm_config) = 'object'),
    tts_config                  jsonb CHECK (jsonb_typeof(tts_config) = 'object'),
    speech_config               jsonb CHECK (jsonb_typeof(speech_config) = 'object'),
    recording_consent           jsonb CHECK (jsonb_typeof(recording_consent) = 'object'),
    created_at                  timestamptz(3) NOT NULL DEFAULT now(),
    updated_at                  timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (id, organisation_id)
);

CREATE INDEX ON assistants (organisation_id, created_at DESC, id DESC);

-- A number, and an extension, can only name an assistant of its own organisation.
CREATE TABLE phone_numbers (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    phone_number    text NOT NULL UNIQUE CHECK (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    name            text,
    assistant_id    uuid,
    is_active       boolean NOT NULL DEFAULT true,
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    updated_at      timestamptz(3) NOT NULL DEFAULT now(),
    FOREIGN KEY (assistant_id, organisation_id) REFERENCES assistants (id, organisation_id)
);

CREATE INDEX ON phone_numbers (organisation_id, created_at DESC, id DESC);
CREATE INDEX ON phone_numbers (assistant_id);

CREATE TABLE extensions (
    extension       text PRIMARY KEY CHECK (extension ~ '^[0-9]{2,6}$'),
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    assistant_id    uuid,
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    FOREIGN KEY (assistant_id, organisation_id) REFERENCES assistants (id, organisation_id)
);

CREATE INDEX ON extensions (assistant_id);
