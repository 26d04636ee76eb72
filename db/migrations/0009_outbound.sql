-- Where an organisation may call, and how much at once. `domain/permission.py` has the rules.

CREATE FUNCTION are_prefixes(written text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(bool_and(coalesce(one ~ '^\+[1-9][0-9]{0,14}$', false)), true)
      FROM unnest(written) AS one
$$;

ALTER TABLE organisations
    ADD COLUMN outbound_allowed_prefixes text[] -- null allows every country
               CHECK (are_prefixes(outbound_allowed_prefixes)
                      AND cardinality(outbound_allowed_prefixes) <= 500),
    ADD COLUMN outbound_refused_prefixes text[] NOT NULL DEFAULT '{}'
               CHECK (are_prefixes(outbound_refused_prefixes)
                      AND cardinality(outbound_refused_prefixes) <= 500),
    ADD COLUMN outbound_concurrency      int NOT NULL DEFAULT 20
               CHECK (outbound_concurrency BETWEEN 0 AND 10000),
    ADD COLUMN outbound_calls_per_second double precision NOT NULL DEFAULT 5
               CHECK (outbound_calls_per_second BETWEEN 0.01 AND 1000);
