-- Sliding windows of the API's rate limits, one row per limited subject.
-- Unlogged: after a crash of PostgreSQL every window starts empty, which costs nobody anything.

CREATE UNLOGGED TABLE rate_windows (
    subject text PRIMARY KEY,
    hits    timestamptz[] NOT NULL,
    granted boolean NOT NULL,
    used_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Takes one place in the window of `subject`, if one of `allowed` is free. The row lock makes it
-- exact across every process of the API. `frees_at` is when the next place becomes free.
CREATE FUNCTION take_place(subject text, allowed int, period interval)
RETURNS TABLE (granted boolean, remaining int, frees_at timestamptz)
LANGUAGE sql VOLATILE AS $$
    INSERT INTO rate_windows AS w (subject, hits, granted, used_at)
    VALUES ($1, ARRAY[clock_timestamp()], true, clock_timestamp())
    ON CONFLICT (subject) DO UPDATE
       SET (hits, granted, used_at) = (
           SELECT CASE WHEN n < $2 THEN recent || at ELSE recent END, n < $2, at
             FROM (SELECT coalesce(array_agg(hit ORDER BY hit)
                                   FILTER (WHERE hit IS NOT NULL), '{}') AS recent,
                          count(hit) AS n, now_at AS at
                     FROM (SELECT clock_timestamp() AS now_at) AS clock
                     LEFT JOIN unnest(w.hits) AS hit ON hit > now_at - $3
                    GROUP BY now_at) AS seen)
    RETURNING w.granted,
              greatest(0, $2 - cardinality(w.hits)),
              w.hits[greatest(1, cardinality(w.hits) - $2 + 1)] + $3
$$;
