-- Counts of calls, kept exact, so that a list knows its total and a deep page its place.
-- `db/call_counts.py` explains them.

-- Both sides of a call, whichever of them dialled.
ALTER TABLE calls
    ADD COLUMN our_number   text
        GENERATED ALWAYS AS (CASE direction WHEN 'outbound' THEN caller ELSE dialled END) STORED,
    ADD COLUMN their_number text
        GENERATED ALWAYS AS (CASE direction WHEN 'outbound' THEN dialled ELSE caller END) STORED;

-- One for every filter. Read backwards: rows that arrive in their order fill pages of an ascending
-- index whole, of a descending one by half.
DROP INDEX calls_organisation_id_created_at_id_idx,
           calls_organisation_id_status_created_at_id_idx,
           calls_organisation_id_assistant_id_created_at_id_idx;
CREATE INDEX ON calls (organisation_id, created_at, id);
CREATE INDEX ON calls (organisation_id, status, created_at, id);
CREATE INDEX ON calls (organisation_id, assistant_id, created_at, id);
CREATE INDEX ON calls (organisation_id, direction, created_at, id);
CREATE INDEX ON calls (organisation_id, our_number, created_at, id);
CREATE INDEX ON calls (organisation_id, their_number, created_at, id);

-- Several rows of one key add up. Empty texts stand for all. No foreign key: calls that go with
-- their organisation are counted down after it.
CREATE TABLE call_counts (
    organisation_id uuid NOT NULL,
    number          text NOT NULL,
    direction       text NOT NULL,
    status          text NOT NULL,
    assistant_id    text NOT NULL,
    period          timestamptz NOT NULL,
    calls           bigint NOT NULL,
    settled         boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX call_counts_key ON call_counts
    (organisation_id, number, direction, status, assistant_id, period) INCLUDE (calls);
CREATE INDEX call_counts_unsettled ON call_counts (period) WHERE NOT settled;

SELECT wall_off('call_counts');
REVOKE INSERT, UPDATE, DELETE ON call_counts FROM sovereign_tenant;

-- The begin of the four hours, or of the day, UTC, that a moment lies in.
CREATE FUNCTION call_period(moment timestamptz, lasts interval DEFAULT '4 hours')
RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_bin(lasts, moment, '2000-01-01 00:00+00')
$$;

-- Adds counts, given for keys in full, to all that they belong to: without the number in periods
-- of four hours, with it in days. What a call lacks is empty in `counted`.
CREATE FUNCTION add_call_counts(counted call_counts[]) RETURNS void
LANGUAGE sql VOLATILE AS $$
    INSERT INTO call_counts
    SELECT organisation_id, '', coalesce(direction, ''), coalesce(status, ''),
           coalesce(assistant_id, ''), period, sum(calls), false
      FROM unnest(counted)
     GROUP BY organisation_id, period, CUBE (direction, status, assistant_id)
    HAVING sum(calls) <> 0 AND assistant_id IS DISTINCT FROM ''
     UNION ALL
    SELECT organisation_id, number, coalesce(direction, ''), coalesce(status, ''),
           coalesce(assistant_id, ''), call_period(period, '1 day'), sum(calls), false
      FROM unnest(counted)
     WHERE number <> ''
     GROUP BY organisation_id, call_period(period, '1 day'), number,
              GROUPING SETS (CUBE (direction, status), (direction, status, assistant_id))
    HAVING sum(calls) <> 0 AND assistant_id IS DISTINCT FROM ''
$$;

CREATE FUNCTION count_calls() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    counted call_counts[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM call_counts;
    ELSIF TG_OP = 'INSERT' THEN
        counted := ARRAY(
            SELECT (organisation_id, coalesce(our_number, ''), direction, status,
                    coalesce(assistant_id::text, ''), call_period(created_at), count(*),
                    false)::call_counts
              FROM added
             GROUP BY organisation_id, our_number, direction, status, assistant_id,
                      call_period(created_at));
    ELSIF TG_OP = 'DELETE' THEN
        counted := ARRAY(
            SELECT (organisation_id, coalesce(our_number, ''), direction, status,
                    coalesce(assistant_id::text, ''), call_period(created_at), -count(*),
                    false)::call_counts
              FROM removed
             GROUP BY organisation_id, our_number, direction, status, assistant_id,
                      call_period(created_at));
    ELSE
        counted := ARRAY(
            SELECT (organisation_id, coalesce(our_number, ''), direction, status,
                    coalesce(assistant_id::text, ''), call_period(created_at), sum(step),
                    false)::call_counts
              FROM (SELECT *, 1 AS step FROM added
                    UNION ALL
                    SELECT *, -1 FROM removed) AS changed
             GROUP BY organisation_id, our_number, direction, status, assistant_id,
                      call_period(created_at)
            HAVING sum(step) <> 0);
    END IF;
    IF cardinality(counted) > 0 THEN
        PERFORM add_call_counts(counted);
    END IF;
    RETURN NULL;
END $$;

REVOKE ALL ON FUNCTION count_calls() FROM PUBLIC; -- or whoever makes tables could have it count

CREATE TRIGGER count_added AFTER INSERT ON calls
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_calls();
CREATE TRIGGER count_changed AFTER UPDATE ON calls
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_calls();
CREATE TRIGGER count_removed AFTER DELETE ON calls
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_calls();
CREATE TRIGGER count_none AFTER TRUNCATE ON calls
    FOR EACH STATEMENT EXECUTE FUNCTION count_calls();

SELECT add_call_counts(ARRAY(
    SELECT (organisation_id, coalesce(our_number, ''), direction, status,
            coalesce(assistant_id::text, ''), call_period(created_at), count(*),
            false)::call_counts
      FROM calls
     GROUP BY organisation_id, our_number, direction, status, assistant_id,
              call_period(created_at)));
