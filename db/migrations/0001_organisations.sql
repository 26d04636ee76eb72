-- Tenants and the keys they authenticate with.

CREATE TABLE organisations (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    is_operator boolean NOT NULL DEFAULT false,
    created_at  timestamptz(3) NOT NULL DEFAULT now(),
    updated_at  timestamptz(3) NOT NULL DEFAULT now()
);

-- There is one operator: owner of the demo and of calls to numbers nobody owns.
CREATE UNIQUE INDEX ON organisations (is_operator) WHERE is_operator;

CREATE TABLE api_keys (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    prefix          text NOT NULL CHECK (length(prefix) BETWEEN 1 AND 16),
    secret_sha256   bytea NOT NULL UNIQUE CHECK (octet_length(secret_sha256) = 32),
    created_at      timestamptz(3) NOT NULL DEFAULT now(),
    last_used_at    timestamptz(3),
    revoked_at      timestamptz(3)
);

CREATE INDEX ON api_keys (organisation_id, created_at DESC, id DESC);
