-- Analytics: views for people who ask in SQL (docs/analytics.md). The schema `analytics_v1` keeps its names, columns and units;
-- a change that would break a query is made in an `analytics_v2` beside it. SQLite has the same views with the prefix
-- `analytics_v1_` (migrations/sqlite/0010_analytics_v1.sql).

-- The S2 leaf cell of the true place, as a token of 16 hexadecimal digits: text order is the order of leaf cells, and a geocell is
-- a range of them. Written with the row; NULL in rows of an older version until `geosurge analytics refresh`.
ALTER TABLE ground_truth ADD COLUMN leaf text COLLATE "C" CHECK (length(leaf) = 16);

CREATE SCHEMA analytics_v1;

-- The range of leaf cells in a geocell: from the low end up to, without, the high end. The last digit of a token tells how many
-- of its bits still vary.
CREATE FUNCTION analytics_v1.leaf_low(token text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    left(token, -1) || substr('00020446088a8cce', strpos('0123456789abcdef', right(token, 1)), 1);
CREATE FUNCTION analytics_v1.leaf_high(token text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    left(token, -1) || substr('01337577f9bbfdff', strpos('0123456789abcdef', right(token, 1)), 1) || 'g';

-- Great-circle distance in kilometres by the haversine formula on a sphere of 6371 km, as everywhere in the program. NULL where
-- a place is: least() alone would take it for the antipode.
CREATE FUNCTION analytics_v1.distance_km(
    latitude_a double precision, longitude_a double precision, latitude_b double precision, longitude_b double precision
) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    CASE WHEN latitude_a + longitude_a + latitude_b + longitude_b IS NOT NULL THEN
        2.0 * 6371.0 * asin(sqrt(least(1.0,
            power(sin(radians(latitude_b - latitude_a) / 2.0), 2)
            + cos(radians(latitude_a)) * cos(radians(latitude_b))
                * power(sin(radians(longitude_b - longitude_a) / 2.0), 2))))
    END;

-- Which geocell of a level holds a leaf cell: the last one that begins before it, if it ends after it.
ALTER TABLE geocells ADD COLUMN leaf_low text COLLATE "C" GENERATED ALWAYS AS (
    left(token, -1) || substr('00020446088a8cce', strpos('0123456789abcdef', right(token, 1)), 1)) STORED;
ALTER TABLE geocells ADD COLUMN leaf_high text COLLATE "C" GENERATED ALWAYS AS (
    left(token, -1) || substr('01337577f9bbfdff', strpos('0123456789abcdef', right(token, 1)), 1) || 'g') STORED;
CREATE INDEX geocells_leaf ON geocells (release, level, leaf_low);

CREATE VIEW analytics_v1.releases AS
SELECT id AS release, status, checkpoint_id, levels, geocells, reference_images, created_at, ready_at, activated_at
FROM public.releases;

CREATE VIEW analytics_v1.predictions AS
SELECT
    p.id AS prediction,
    p.release,
    p.created_at,
    (p.created_at AT TIME ZONE 'UTC')::date AS day,
    p.client,
    p.shadow_of,
    p.photo_sha256,
    p.continent,
    p.country_code,
    p.country,
    p.region,
    p.locality,
    p.latitude,
    p.longitude,
    (SELECT c.token FROM public.prediction_candidates c WHERE c.prediction = p.id AND c.rank = 1) AS token,
    p.confidence,
    (p.within ->> '1')::double precision AS within_1_km,
    (p.within ->> '25')::double precision AS within_25_km,
    (p.within ->> '200')::double precision AS within_200_km,
    (p.within ->> '750')::double precision AS within_750_km,
    (p.within ->> '2500')::double precision AS within_2500_km,
    p.entropy,
    p.cannot_tell IS NOT NULL AS cannot_tell,
    p.cannot_tell AS cannot_tell_reason,
    (p.credible_region ->> 'probability')::double precision AS credible_probability,
    (p.credible_region ->> 'area_km2')::double precision AS credible_area_km2,
    (p.timings ->> 'total')::double precision AS total_ms,
    g.source AS truth_source,
    g.continent AS truth_continent,
    g.country_code AS truth_country_code,
    g.country AS truth_country,
    g.region AS truth_region,
    g.locality AS truth_locality,
    g.latitude AS truth_latitude,
    g.longitude AS truth_longitude,
    (SELECT CASE WHEN g.leaf < cell.leaf_high THEN cell.token END
     FROM public.geocells cell
     WHERE cell.release = p.release
       AND cell.level = (SELECT r.levels - 1 FROM public.releases r WHERE r.id = p.release)
       AND cell.leaf_low <= g.leaf
     ORDER BY cell.leaf_low DESC
     LIMIT 1) AS truth_token,
    analytics_v1.distance_km(p.latitude, p.longitude, g.latitude, g.longitude) AS error_km
FROM public.predictions p
LEFT JOIN public.ground_truth g ON g.prediction = coalesce(p.shadow_of, p.id);

CREATE VIEW analytics_v1.candidates AS
SELECT
    p.id AS prediction,
    p.release,
    (p.created_at AT TIME ZONE 'UTC')::date AS day,
    c.rank,
    c.token,
    c.probability,
    c.latitude,
    c.longitude,
    g.leaf >= analytics_v1.leaf_low(c.token) AND g.leaf < analytics_v1.leaf_high(c.token) AS holds_truth,
    analytics_v1.distance_km(c.latitude, c.longitude, g.latitude, g.longitude) AS error_km
FROM public.predictions p
JOIN public.prediction_candidates c ON c.prediction = p.id
LEFT JOIN public.ground_truth g ON g.prediction = coalesce(p.shadow_of, p.id);

CREATE VIEW analytics_v1.levels AS
SELECT
    p.id AS prediction,
    p.release,
    (p.created_at AT TIME ZONE 'UTC')::date AS day,
    l.level,
    l.token,
    l.probability,
    l.latitude,
    l.longitude,
    (SELECT CASE WHEN g.leaf < cell.leaf_high THEN cell.token END
     FROM public.geocells cell
     WHERE cell.release = p.release AND cell.level = l.level AND cell.leaf_low <= g.leaf
     ORDER BY cell.leaf_low DESC
     LIMIT 1) AS truth_token,
    g.leaf >= analytics_v1.leaf_low(l.token) AND g.leaf < analytics_v1.leaf_high(l.token) AS holds_truth,
    analytics_v1.distance_km(l.latitude, l.longitude, g.latitude, g.longitude) AS error_km
FROM public.predictions p
JOIN public.prediction_levels l ON l.prediction = p.id
LEFT JOIN public.ground_truth g ON g.prediction = coalesce(p.shadow_of, p.id);

-- z = 1.959964, the normal distribution's 97.5 % quantile.
CREATE VIEW analytics_v1.accuracy AS
WITH counted AS (
    SELECT
        p.release,
        t.threshold,
        t.threshold_km,
        count(*) AS answers,
        count(*) FILTER (WHERE p.error_km <= t.threshold_km) AS hits,
        avg(CASE t.threshold
            WHEN 'street' THEN p.within_1_km
            WHEN 'city' THEN p.within_25_km
            WHEN 'region' THEN p.within_200_km
            WHEN 'country' THEN p.within_750_km
            ELSE p.within_2500_km
        END) AS claimed
    FROM analytics_v1.predictions p
    CROSS JOIN (VALUES ('street', 1), ('city', 25), ('region', 200), ('country', 750), ('continent', 2500))
        AS t (threshold, threshold_km)
    WHERE p.truth_latitude IS NOT NULL
    GROUP BY p.release, t.threshold, t.threshold_km
), shares AS (
    SELECT *, hits / answers::double precision AS accuracy FROM counted
)
SELECT
    release,
    threshold,
    threshold_km,
    answers,
    hits,
    accuracy,
    (accuracy + 3.841459 / (2 * answers)
        - 1.959964 * sqrt(accuracy * (1 - accuracy) / answers + 3.841459 / (4.0 * answers * answers)))
        / (1 + 3.841459 / answers) AS accuracy_low,
    (accuracy + 3.841459 / (2 * answers)
        + 1.959964 * sqrt(accuracy * (1 - accuracy) / answers + 3.841459 / (4.0 * answers * answers)))
        / (1 + 3.841459 / answers) AS accuracy_high,
    claimed
FROM shares;

CREATE VIEW analytics_v1.accuracy_by_day AS
SELECT
    release,
    day,
    count(*) AS answers,
    count(*) FILTER (WHERE cannot_tell) AS cannot_tell,
    avg((error_km <= 1)::int)::double precision AS within_1_km,
    avg((error_km <= 25)::int)::double precision AS within_25_km,
    avg((error_km <= 200)::int)::double precision AS within_200_km,
    avg((error_km <= 750)::int)::double precision AS within_750_km,
    avg((error_km <= 2500)::int)::double precision AS within_2500_km,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY error_km) AS median_error_km
FROM analytics_v1.predictions
WHERE truth_latitude IS NOT NULL
GROUP BY release, day;

CREATE VIEW analytics_v1.accuracy_by_continent AS
SELECT
    release,
    truth_continent,
    count(*) AS answers,
    count(*) FILTER (WHERE cannot_tell) AS cannot_tell,
    avg((error_km <= 1)::int)::double precision AS within_1_km,
    avg((error_km <= 25)::int)::double precision AS within_25_km,
    avg((error_km <= 200)::int)::double precision AS within_200_km,
    avg((error_km <= 750)::int)::double precision AS within_750_km,
    avg((error_km <= 2500)::int)::double precision AS within_2500_km,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY error_km) AS median_error_km,
    avg(coalesce(continent = truth_continent, false)::int)::double precision AS same_continent
FROM analytics_v1.predictions
WHERE truth_latitude IS NOT NULL
GROUP BY release, truth_continent;

CREATE VIEW analytics_v1.accuracy_by_country AS
SELECT
    release,
    truth_continent,
    truth_country_code,
    truth_country,
    count(*) AS answers,
    count(*) FILTER (WHERE cannot_tell) AS cannot_tell,
    avg((error_km <= 1)::int)::double precision AS within_1_km,
    avg((error_km <= 25)::int)::double precision AS within_25_km,
    avg((error_km <= 200)::int)::double precision AS within_200_km,
    avg((error_km <= 750)::int)::double precision AS within_750_km,
    avg((error_km <= 2500)::int)::double precision AS within_2500_km,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY error_km) AS median_error_km,
    avg(coalesce(country_code = truth_country_code, false)::int)::double precision AS same_country
FROM analytics_v1.predictions
WHERE truth_latitude IS NOT NULL
GROUP BY release, truth_continent, truth_country_code, truth_country;

CREATE VIEW analytics_v1.accuracy_by_client AS
SELECT
    release,
    client,
    count(*) AS answers,
    count(*) FILTER (WHERE cannot_tell) AS cannot_tell,
    avg((error_km <= 1)::int)::double precision AS within_1_km,
    avg((error_km <= 25)::int)::double precision AS within_25_km,
    avg((error_km <= 200)::int)::double precision AS within_200_km,
    avg((error_km <= 750)::int)::double precision AS within_750_km,
    avg((error_km <= 2500)::int)::double precision AS within_2500_km,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY error_km) AS median_error_km
FROM analytics_v1.predictions
WHERE truth_latitude IS NOT NULL
GROUP BY release, client;

CREATE VIEW analytics_v1.accuracy_by_level AS
SELECT
    release,
    level,
    count(*) AS answers,
    count(truth_token) / count(*)::double precision AS covered,
    count(*) FILTER (WHERE holds_truth) / nullif(count(truth_token), 0)::double precision AS found,
    avg((error_km <= 1)::int)::double precision AS within_1_km,
    avg((error_km <= 25)::int)::double precision AS within_25_km,
    avg((error_km <= 200)::int)::double precision AS within_200_km,
    avg((error_km <= 750)::int)::double precision AS within_750_km,
    avg((error_km <= 2500)::int)::double precision AS within_2500_km,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY error_km) AS median_error_km
FROM (
    SELECT
        p.release,
        l.level,
        (SELECT CASE WHEN g.leaf < cell.leaf_high THEN cell.token END
         FROM public.geocells cell
         WHERE cell.release = p.release AND cell.level = l.level AND cell.leaf_low <= g.leaf
         ORDER BY cell.leaf_low DESC
         LIMIT 1) AS truth_token,
        g.leaf >= analytics_v1.leaf_low(l.token) AND g.leaf < analytics_v1.leaf_high(l.token) AS holds_truth,
        analytics_v1.distance_km(l.latitude, l.longitude, g.latitude, g.longitude) AS error_km
    FROM public.ground_truth g
    JOIN public.predictions p ON coalesce(p.shadow_of, p.id) = g.prediction
    JOIN public.prediction_levels l ON l.prediction = p.id
    OFFSET 0
) AS known
GROUP BY release, level;

CREATE VIEW analytics_v1.calibration AS
WITH claims AS (
    SELECT p.release, c.claim, c.claimed, c.happened
    FROM public.ground_truth g
    JOIN public.predictions p ON coalesce(p.shadow_of, p.id) = g.prediction
    LEFT JOIN public.prediction_candidates answer ON answer.prediction = p.id AND answer.rank = 1
    CROSS JOIN LATERAL (
        SELECT analytics_v1.distance_km(p.latitude, p.longitude, g.latitude, g.longitude) AS error_km OFFSET 0
    ) AS d
    CROSS JOIN LATERAL (VALUES
        ('geocell', p.confidence, coalesce(
            g.leaf >= analytics_v1.leaf_low(answer.token) AND g.leaf < analytics_v1.leaf_high(answer.token), false)),
        ('within_1_km', (p.within ->> '1')::double precision, d.error_km <= 1),
        ('within_25_km', (p.within ->> '25')::double precision, d.error_km <= 25),
        ('within_200_km', (p.within ->> '200')::double precision, d.error_km <= 200),
        ('within_750_km', (p.within ->> '750')::double precision, d.error_km <= 750),
        ('within_2500_km', (p.within ->> '2500')::double precision, d.error_km <= 2500)
    ) AS c (claim, claimed, happened)
), binned AS (
    SELECT release, claim, greatest(0, least(9, floor(claimed * 10)::int)) AS bin, claimed, happened FROM claims
)
SELECT
    release,
    claim,
    bin,
    bin / 10.0::double precision AS bin_low,
    (bin + 1) / 10.0::double precision AS bin_high,
    count(*) AS answers,
    avg(claimed) AS claimed,
    avg(happened::int)::double precision AS observed,
    avg(claimed) - avg(happened::int)::double precision AS gap
FROM binned
GROUP BY release, claim, bin;

CREATE VIEW analytics_v1.calibration_error AS
SELECT
    release,
    claim,
    sum(answers)::bigint AS answers,
    (sum(answers * claimed) / sum(answers))::double precision AS claimed,
    (sum(answers * observed) / sum(answers))::double precision AS observed,
    (sum(answers * abs(gap)) / sum(answers))::double precision AS expected_error,
    max(abs(gap)) AS largest_gap
FROM analytics_v1.calibration
GROUP BY release, claim;

CREATE VIEW analytics_v1.worst_cells AS
WITH known AS MATERIALIZED (
    SELECT
        p.release,
        answer.token,
        (SELECT CASE WHEN g.leaf < cell.leaf_high THEN cell.token END
         FROM public.geocells cell
         WHERE cell.release = p.release AND cell.level = r.levels - 1 AND cell.leaf_low <= g.leaf
         ORDER BY cell.leaf_low DESC
         LIMIT 1) AS truth_token,
        analytics_v1.distance_km(p.latitude, p.longitude, g.latitude, g.longitude) AS error_km
    FROM public.ground_truth g
    JOIN public.predictions p ON coalesce(p.shadow_of, p.id) = g.prediction
    JOIN public.releases r ON r.id = p.release
    LEFT JOIN public.prediction_candidates answer ON answer.prediction = p.id AND answer.rank = 1
), taken AS (
    SELECT
        release,
        truth_token AS token,
        count(*) AS truths,
        count(*) FILTER (WHERE token = truth_token) AS found,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY error_km) AS median_error_km
    FROM known
    WHERE truth_token IS NOT NULL
    GROUP BY release, truth_token
), given AS (
    SELECT
        release,
        token,
        count(*) AS answers,
        count(*) FILTER (WHERE token = truth_token) AS right_answers,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY error_km) AS median_error_km
    FROM known
    WHERE token IS NOT NULL
    GROUP BY release, token
)
SELECT
    cells.release,
    cells.token,
    g.latitude,
    g.longitude,
    g.photos,
    coalesce(taken.truths, 0) AS truths,
    coalesce(taken.found, 0) AS found,
    taken.median_error_km AS truths_median_error_km,
    coalesce(given.answers, 0) AS answers,
    coalesce(given.right_answers, 0) AS right_answers,
    given.median_error_km AS answers_median_error_km,
    coalesce(taken.truths - taken.found, 0) + coalesce(given.answers - given.right_answers, 0) AS mistakes
FROM (SELECT release, token FROM taken UNION SELECT release, token FROM given) AS cells
LEFT JOIN taken ON taken.release = cells.release AND taken.token = cells.token
LEFT JOIN given ON given.release = cells.release AND given.token = cells.token
LEFT JOIN public.releases r ON r.id = cells.release
LEFT JOIN public.geocells g ON g.release = cells.release AND g.level = r.levels - 1 AND g.token = cells.token;

CREATE VIEW analytics_v1.score_drift AS
WITH counted AS (
    SELECT
        release,
        greatest(0, least(9, floor(confidence * 10)::int)) AS bin,
        count(*) AS answers,
        sum(confidence) AS confidence
    FROM public.predictions
    GROUP BY 1, 2
), totals AS (
    SELECT release, sum(answers)::bigint AS answers, sum(confidence) / sum(answers)::double precision AS confidence
    FROM counted
    GROUP BY release
), shares AS (
    SELECT t.release, bins.bin, (coalesce(c.answers, 0) + 0.5) / (t.answers + 5.0)::double precision AS share
    FROM totals t
    CROSS JOIN generate_series(0, 9) AS bins (bin)
    LEFT JOIN counted c ON c.release = t.release AND c.bin = bins.bin
)
SELECT
    b.id AS baseline,
    r.id AS release,
    bt.answers AS baseline_answers,
    rt.answers,
    bt.confidence AS baseline_mean_confidence,
    rt.confidence AS mean_confidence,
    (SELECT sum((rs.share - bs.share) * ln(rs.share / bs.share))::double precision
     FROM shares bs JOIN shares rs ON rs.bin = bs.bin
     WHERE bs.release = b.id AND rs.release = r.id) AS psi
FROM public.releases b
JOIN public.releases r ON (b.created_at, b.id) < (r.created_at, r.id)
JOIN totals bt ON bt.release = b.id
JOIN totals rt ON rt.release = r.id;

CREATE VIEW analytics_v1.place_drift AS
WITH counted AS (
    SELECT release, 'country' AS over, coalesce(country_code, '') AS place, count(*) AS answers
    FROM public.predictions
    GROUP BY 1, 3
    UNION ALL
    SELECT
        p.release,
        's2_level_4',
        CASE
            WHEN length(c.token) <= 3 THEN c.token
            ELSE left(c.token, 2)
                || substr('1133557799bbddff', strpos('0123456789abcdef', substr(c.token, 3, 1)), 1)
        END,
        count(*)
    FROM public.predictions p
    JOIN public.prediction_candidates c ON c.prediction = p.id AND c.rank = 1
    GROUP BY 1, 3
), totals AS (
    SELECT release, over, sum(answers)::bigint AS answers FROM counted GROUP BY release, over
), shares AS (
    SELECT c.release, c.over, c.place, c.answers / t.answers::double precision AS share
    FROM counted c
    JOIN totals t ON t.release = c.release AND t.over = c.over
), pairs AS (
    SELECT b.id AS baseline, r.id AS release, bt.over, bt.answers AS baseline_answers, rt.answers
    FROM public.releases b
    JOIN public.releases r ON (b.created_at, b.id) < (r.created_at, r.id)
    JOIN totals bt ON bt.release = b.id
    JOIN totals rt ON rt.release = r.id AND rt.over = bt.over
), sides AS (
    SELECT pairs.baseline, pairs.release, pairs.over, s.place, s.share AS p, 0.0::double precision AS q
    FROM pairs JOIN shares s ON s.release = pairs.baseline AND s.over = pairs.over
    UNION ALL
    SELECT pairs.baseline, pairs.release, pairs.over, s.place, 0.0, s.share
    FROM pairs JOIN shares s ON s.release = pairs.release AND s.over = pairs.over
), both_sides AS (
    SELECT baseline, release, over, place, sum(p) AS p, sum(q) AS q FROM sides GROUP BY baseline, release, over, place
)
SELECT
    pairs.baseline,
    pairs.release,
    pairs.over,
    pairs.baseline_answers,
    pairs.answers,
    count(*) AS places,
    (sum(CASE WHEN p > 0 THEN p * ln(2 * p / (p + q)) ELSE 0 END
        + CASE WHEN q > 0 THEN q * ln(2 * q / (p + q)) ELSE 0 END) / (2 * ln(2.0::double precision)))
        AS divergence_bits
FROM pairs
JOIN both_sides USING (baseline, release, over)
GROUP BY pairs.baseline, pairs.release, pairs.over, pairs.baseline_answers, pairs.answers;

CREATE VIEW analytics_v1.volume AS
SELECT
    p.release,
    (p.created_at AT TIME ZONE 'UTC')::date AS day,
    p.client,
    p.shadow_of IS NOT NULL AS shadow,
    count(*) AS answers,
    count(p.cannot_tell) AS cannot_tell,
    count(g.prediction) AS truths
FROM public.predictions p
LEFT JOIN public.ground_truth g ON g.prediction = coalesce(p.shadow_of, p.id)
GROUP BY 1, 2, 3, 4;

CREATE VIEW analytics_v1.latency AS
SELECT
    p.release,
    (p.created_at AT TIME ZONE 'UTC')::date AS day,
    t.stage,
    count(*) AS answers,
    avg(t.ms::double precision) AS mean_ms,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY t.ms::double precision) AS p50_ms,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY t.ms::double precision) AS p90_ms,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY t.ms::double precision) AS p99_ms,
    max(t.ms::double precision) AS max_ms
FROM public.predictions p
CROSS JOIN LATERAL jsonb_each_text(p.timings) AS t (stage, ms)
GROUP BY 1, 2, 3;

CREATE VIEW analytics_v1.coverage AS
WITH answered AS (
    SELECT release, count(*) AS answers, count(cannot_tell) AS cannot_tell FROM public.predictions GROUP BY release
), known AS (
    SELECT
        p.release,
        count(*) AS truths,
        1 - count((
            SELECT CASE WHEN g.leaf < cell.leaf_high THEN 1 END
            FROM public.geocells cell
            WHERE cell.release = p.release AND cell.level = r.levels - 1 AND cell.leaf_low <= g.leaf
            ORDER BY cell.leaf_low DESC
            LIMIT 1
        )) / count(*)::double precision AS outside,
        avg(EXISTS (
            SELECT FROM public.prediction_candidates c
            WHERE c.prediction = p.id
              AND g.leaf >= analytics_v1.leaf_low(c.token) AND g.leaf < analytics_v1.leaf_high(c.token)
        )::int)::double precision AS among_candidates,
        avg((p.credible_region ->> 'probability')::double precision) AS credible_claimed,
        avg(EXISTS (
            SELECT FROM jsonb_array_elements_text(p.credible_region -> 'geocells') AS cell (token)
            WHERE g.leaf >= analytics_v1.leaf_low(cell.token) AND g.leaf < analytics_v1.leaf_high(cell.token)
        )::int)::double precision AS credible_observed
    FROM public.ground_truth g
    JOIN public.predictions p ON coalesce(p.shadow_of, p.id) = g.prediction
    JOIN public.releases r ON r.id = p.release
    GROUP BY p.release
)
SELECT
    answered.release,
    answered.answers,
    answered.cannot_tell,
    answered.cannot_tell / answered.answers::double precision AS cannot_tell_share,
    coalesce(known.truths, 0) AS truths,
    CASE WHEN EXISTS (SELECT FROM public.geocells g WHERE g.release = answered.release) THEN known.outside END AS outside,
    known.among_candidates,
    known.credible_claimed,
    known.credible_observed
FROM answered
LEFT JOIN known ON known.release = answered.release;

CREATE VIEW analytics_v1.shadows AS
SELECT
    p.id AS prediction,
    s.id AS shadow,
    p.release,
    s.release AS shadow_release,
    (p.created_at AT TIME ZONE 'UTC')::date AS day,
    analytics_v1.distance_km(p.latitude, p.longitude, s.latitude, s.longitude) AS distance_km,
    (SELECT c.token FROM public.prediction_candidates c WHERE c.prediction = p.id AND c.rank = 1)
        = (SELECT c.token FROM public.prediction_candidates c WHERE c.prediction = s.id AND c.rank = 1) AS same_geocell,
    coalesce(p.country_code = s.country_code, false) AS same_country,
    p.confidence,
    s.confidence AS shadow_confidence,
    analytics_v1.distance_km(p.latitude, p.longitude, g.latitude, g.longitude) AS error_km,
    analytics_v1.distance_km(s.latitude, s.longitude, g.latitude, g.longitude) AS shadow_error_km
FROM public.predictions s
JOIN public.predictions p ON p.id = s.shadow_of
LEFT JOIN public.ground_truth g ON g.prediction = p.id;

CREATE VIEW analytics_v1.shadow_agreement AS
SELECT
    release,
    shadow_release,
    count(*) AS answers,
    avg(coalesce(same_geocell, false)::int)::double precision AS same_geocell,
    avg(same_country::int)::double precision AS same_country,
    avg((distance_km <= 25)::int)::double precision AS within_25_km,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY distance_km) AS median_distance_km,
    avg(shadow_confidence - confidence) AS mean_confidence_gain,
    count(error_km) AS truths,
    count(*) FILTER (WHERE shadow_error_km < error_km) AS shadow_nearer,
    count(*) FILTER (WHERE shadow_error_km > error_km) AS shadow_farther,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY error_km) AS median_error_km,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY shadow_error_km) AS shadow_median_error_km
FROM analytics_v1.shadows
GROUP BY release, shadow_release;

-- The rows of expensive views as of the last `geosurge analytics refresh`; the views themselves are always right.
CREATE TABLE analytics_v1.refreshes (
    "view"       text             NOT NULL PRIMARY KEY,
    refreshed_at timestamptz      NOT NULL,
    seconds      double precision NOT NULL,
    "rows"       bigint           NOT NULL
);

CREATE MATERIALIZED VIEW analytics_v1.accuracy_by_level_cached AS SELECT * FROM analytics_v1.accuracy_by_level WITH NO DATA;
CREATE UNIQUE INDEX accuracy_by_level_cached_key ON analytics_v1.accuracy_by_level_cached (release, level);
CREATE MATERIALIZED VIEW analytics_v1.calibration_cached AS SELECT * FROM analytics_v1.calibration WITH NO DATA;
CREATE UNIQUE INDEX calibration_cached_key ON analytics_v1.calibration_cached (release, claim, bin);
CREATE MATERIALIZED VIEW analytics_v1.worst_cells_cached AS SELECT * FROM analytics_v1.worst_cells WITH NO DATA;
CREATE UNIQUE INDEX worst_cells_cached_key ON analytics_v1.worst_cells_cached (release, token);
CREATE MATERIALIZED VIEW analytics_v1.coverage_cached AS SELECT * FROM analytics_v1.coverage WITH NO DATA;
CREATE UNIQUE INDEX coverage_cached_key ON analytics_v1.coverage_cached (release);
CREATE MATERIALIZED VIEW analytics_v1.latency_cached AS SELECT * FROM analytics_v1.latency WITH NO DATA;
CREATE UNIQUE INDEX latency_cached_key ON analytics_v1.latency_cached (release, day, stage);

-- Whoever may read the views and nothing else: `CREATE ROLE alice LOGIN PASSWORD '…' IN ROLE geosurge_analyst`. Roles belong to
-- the server, so that they may exist already or need an administrator; says what is missing, and can be called again.
CREATE FUNCTION analytics_v1.grant_to_analysts() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'geosurge_analyst') THEN
        BEGIN
            CREATE ROLE geosurge_analyst NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL; -- Another database of this server was migrated at the same time.
            WHEN insufficient_privilege THEN
                RETURN format('the read-only role geosurge_analyst does not exist and %I may not create it: '
                              'let an administrator run CREATE ROLE geosurge_analyst NOLOGIN, '
                              'then run geosurge analytics refresh', current_user);
        END;
    END IF;
    GRANT USAGE ON SCHEMA analytics_v1 TO geosurge_analyst;
    GRANT SELECT ON ALL TABLES IN SCHEMA analytics_v1 TO geosurge_analyst;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    missing text := analytics_v1.grant_to_analysts();
BEGIN
    IF missing IS NOT NULL THEN
        RAISE WARNING '%', missing;
    END IF;
END
$$;

COMMENT ON SCHEMA analytics_v1 IS 'GeoSURGE: views for analysts, version 1 (docs/analytics.md)';
COMMENT ON COLUMN public.ground_truth.leaf IS 'S2 leaf cell of the true place, as a token of 16 hexadecimal digits';
COMMENT ON VIEW analytics_v1.predictions IS 'One row an answer, with its true place where that is known. The true place of a shadow answer is that of the answer it shadows';
COMMENT ON COLUMN analytics_v1.predictions.prediction IS 'Id of the answer, a UUID of version 7: in order of time';
COMMENT ON COLUMN analytics_v1.predictions.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.predictions.created_at IS 'When it was answered';
COMMENT ON COLUMN analytics_v1.predictions.day IS 'Day of the answer, in UTC';
COMMENT ON COLUMN analytics_v1.predictions.client IS 'Who asked; null where nobody said';
COMMENT ON COLUMN analytics_v1.predictions.shadow_of IS 'Id of the answer that this one shadows; null for an answer that was given to a client';
COMMENT ON COLUMN analytics_v1.predictions.photo_sha256 IS 'SHA-256 of the photo, in hexadecimal: equal for the same file asked again';
COMMENT ON COLUMN analytics_v1.predictions.continent IS 'Continent of the answered place; null at sea or where no name was recorded';
COMMENT ON COLUMN analytics_v1.predictions.country_code IS 'Country of the answered place, ISO 3166-1';
COMMENT ON COLUMN analytics_v1.predictions.country IS 'Country of the answered place, in English';
COMMENT ON COLUMN analytics_v1.predictions.region IS 'First division of the country';
COMMENT ON COLUMN analytics_v1.predictions.locality IS 'Settlement within 25 km';
COMMENT ON COLUMN analytics_v1.predictions.latitude IS 'Answered place, degrees north';
COMMENT ON COLUMN analytics_v1.predictions.longitude IS 'Answered place, degrees east';
COMMENT ON COLUMN analytics_v1.predictions.token IS 'S2 token of the answered finest geocell';
COMMENT ON COLUMN analytics_v1.predictions.confidence IS 'Probability claimed for that geocell, 0 to 1';
COMMENT ON COLUMN analytics_v1.predictions.within_1_km IS 'Probability claimed for the true place being within 1 km, 0 to 1';
COMMENT ON COLUMN analytics_v1.predictions.within_25_km IS 'Probability claimed for the true place being within 25 km, 0 to 1';
COMMENT ON COLUMN analytics_v1.predictions.within_200_km IS 'Probability claimed for the true place being within 200 km, 0 to 1';
COMMENT ON COLUMN analytics_v1.predictions.within_750_km IS 'Probability claimed for the true place being within 750 km, 0 to 1';
COMMENT ON COLUMN analytics_v1.predictions.within_2500_km IS 'Probability claimed for the true place being within 2500 km, 0 to 1';
COMMENT ON COLUMN analytics_v1.predictions.entropy IS 'Entropy of the posterior over the finest geocells, in nats';
COMMENT ON COLUMN analytics_v1.predictions.cannot_tell IS 'Whether the answer says that the place cannot be told';
COMMENT ON COLUMN analytics_v1.predictions.cannot_tell_reason IS 'Why it cannot be told';
COMMENT ON COLUMN analytics_v1.predictions.credible_probability IS 'Probability claimed for the credible region, 0 to 1';
COMMENT ON COLUMN analytics_v1.predictions.credible_area_km2 IS 'Area of the credible region, in square kilometres';
COMMENT ON COLUMN analytics_v1.predictions.total_ms IS 'Time from arrival to answer, in milliseconds';
COMMENT ON COLUMN analytics_v1.predictions.truth_source IS 'Who said where the photo was taken; null where nobody did, as are all columns of the true place';
COMMENT ON COLUMN analytics_v1.predictions.truth_continent IS 'Continent of the true place';
COMMENT ON COLUMN analytics_v1.predictions.truth_country_code IS 'Country of the true place, ISO 3166-1';
COMMENT ON COLUMN analytics_v1.predictions.truth_country IS 'Country of the true place, in English';
COMMENT ON COLUMN analytics_v1.predictions.truth_region IS 'First division of the country of the true place';
COMMENT ON COLUMN analytics_v1.predictions.truth_locality IS 'Settlement within 25 km of the true place';
COMMENT ON COLUMN analytics_v1.predictions.truth_latitude IS 'True place, degrees north';
COMMENT ON COLUMN analytics_v1.predictions.truth_longitude IS 'True place, degrees east';
COMMENT ON COLUMN analytics_v1.predictions.truth_token IS 'S2 token of the release''s finest geocell that holds the true place; null where none does';
COMMENT ON COLUMN analytics_v1.predictions.error_km IS 'Great-circle distance between answer and true place, in kilometres';
COMMENT ON VIEW analytics_v1.candidates IS 'One row a finest geocell that was considered, of every answer';
COMMENT ON COLUMN analytics_v1.candidates.prediction IS 'Id of the answer';
COMMENT ON COLUMN analytics_v1.candidates.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.candidates.day IS 'Day of the answer, in UTC';
COMMENT ON COLUMN analytics_v1.candidates.rank IS '1 for the answer, then less and less probable';
COMMENT ON COLUMN analytics_v1.candidates.token IS 'S2 token of the geocell';
COMMENT ON COLUMN analytics_v1.candidates.probability IS 'Posterior probability, 0 to 1';
COMMENT ON COLUMN analytics_v1.candidates.latitude IS 'Mean place of the geocell''s training photos, degrees north';
COMMENT ON COLUMN analytics_v1.candidates.longitude IS 'Mean place of the geocell''s training photos, degrees east';
COMMENT ON COLUMN analytics_v1.candidates.holds_truth IS 'Whether the true place lies in the geocell; null where it is not known';
COMMENT ON COLUMN analytics_v1.candidates.error_km IS 'Great-circle distance to the true place, in kilometres';
COMMENT ON VIEW analytics_v1.levels IS 'One row a level of the hierarchy, of every answer that recorded them: the best geocell by the path down to that level';
COMMENT ON COLUMN analytics_v1.levels.prediction IS 'Id of the answer';
COMMENT ON COLUMN analytics_v1.levels.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.levels.day IS 'Day of the answer, in UTC';
COMMENT ON COLUMN analytics_v1.levels.level IS '0 is the coarsest';
COMMENT ON COLUMN analytics_v1.levels.token IS 'S2 token of the best geocell';
COMMENT ON COLUMN analytics_v1.levels.probability IS 'Posterior probability over the level''s geocells, 0 to 1';
COMMENT ON COLUMN analytics_v1.levels.latitude IS 'Mean place of the geocell''s training photos, degrees north';
COMMENT ON COLUMN analytics_v1.levels.longitude IS 'Mean place of the geocell''s training photos, degrees east';
COMMENT ON COLUMN analytics_v1.levels.truth_token IS 'S2 token of the geocell of this level that holds the true place; null where none does or it is not known';
COMMENT ON COLUMN analytics_v1.levels.holds_truth IS 'Whether the true place lies in the best geocell; null where it is not known';
COMMENT ON COLUMN analytics_v1.levels.error_km IS 'Great-circle distance to the true place, in kilometres';
COMMENT ON VIEW analytics_v1.releases IS 'One row a release';
COMMENT ON COLUMN analytics_v1.releases.release IS 'Its id';
COMMENT ON COLUMN analytics_v1.releases.status IS 'building, ready, active, retired, failed or pruned';
COMMENT ON COLUMN analytics_v1.releases.checkpoint_id IS 'Content hash of the checkpoint';
COMMENT ON COLUMN analytics_v1.releases.levels IS 'Levels of the hierarchy';
COMMENT ON COLUMN analytics_v1.releases.geocells IS 'Geocells over all levels';
COMMENT ON COLUMN analytics_v1.releases.reference_images IS 'Reference images';
COMMENT ON COLUMN analytics_v1.releases.created_at IS 'When its building began';
COMMENT ON COLUMN analytics_v1.releases.ready_at IS 'When it was verified';
COMMENT ON COLUMN analytics_v1.releases.activated_at IS 'When it last became the active one';
COMMENT ON VIEW analytics_v1.accuracy IS 'Accuracy at the five thresholds, by release';
COMMENT ON COLUMN analytics_v1.accuracy.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.accuracy.threshold IS 'street, city, region, country or continent';
COMMENT ON COLUMN analytics_v1.accuracy.threshold_km IS 'The threshold, in kilometres';
COMMENT ON COLUMN analytics_v1.accuracy.answers IS 'Answers whose true place is known';
COMMENT ON COLUMN analytics_v1.accuracy.hits IS 'Of these, answers within the threshold';
COMMENT ON COLUMN analytics_v1.accuracy.accuracy IS 'hits / answers, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy.accuracy_low IS 'Lower end of the accuracy''s 95 % interval (Wilson)';
COMMENT ON COLUMN analytics_v1.accuracy.accuracy_high IS 'Upper end of the accuracy''s 95 % interval (Wilson)';
COMMENT ON COLUMN analytics_v1.accuracy.claimed IS 'Mean probability claimed for the threshold: above accuracy means too sure';
COMMENT ON VIEW analytics_v1.accuracy_by_day IS 'Accuracy by release and day';
COMMENT ON COLUMN analytics_v1.accuracy_by_day.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.accuracy_by_day.day IS 'Day of the answer, in UTC';
COMMENT ON COLUMN analytics_v1.accuracy_by_day.answers IS 'Answers whose true place is known';
COMMENT ON COLUMN analytics_v1.accuracy_by_day.cannot_tell IS 'Of these, answers that say that the place cannot be told';
COMMENT ON COLUMN analytics_v1.accuracy_by_day.within_1_km IS 'Share of them within 1 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_day.within_25_km IS 'Share of them within 25 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_day.within_200_km IS 'Share of them within 200 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_day.within_750_km IS 'Share of them within 750 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_day.within_2500_km IS 'Share of them within 2500 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_day.median_error_km IS 'Median distance between answer and true place, in kilometres';
COMMENT ON VIEW analytics_v1.accuracy_by_continent IS 'Accuracy by release and continent of the true place';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.truth_continent IS 'Continent of the true place; null at sea';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.answers IS 'Answers whose true place is known';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.cannot_tell IS 'Of these, answers that say that the place cannot be told';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.within_1_km IS 'Share of them within 1 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.within_25_km IS 'Share of them within 25 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.within_200_km IS 'Share of them within 200 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.within_750_km IS 'Share of them within 750 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.within_2500_km IS 'Share of them within 2500 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.median_error_km IS 'Median distance between answer and true place, in kilometres';
COMMENT ON COLUMN analytics_v1.accuracy_by_continent.same_continent IS 'Share of them that name the right continent, 0 to 1';
COMMENT ON VIEW analytics_v1.accuracy_by_country IS 'Accuracy by release and country of the true place';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.truth_continent IS 'Continent of the true place; null at sea';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.truth_country_code IS 'Country of the true place, ISO 3166-1';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.truth_country IS 'Country of the true place, in English';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.answers IS 'Answers whose true place is known';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.cannot_tell IS 'Of these, answers that say that the place cannot be told';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.within_1_km IS 'Share of them within 1 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.within_25_km IS 'Share of them within 25 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.within_200_km IS 'Share of them within 200 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.within_750_km IS 'Share of them within 750 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.within_2500_km IS 'Share of them within 2500 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.median_error_km IS 'Median distance between answer and true place, in kilometres';
COMMENT ON COLUMN analytics_v1.accuracy_by_country.same_country IS 'Share of them that name the right country, 0 to 1';
COMMENT ON VIEW analytics_v1.accuracy_by_client IS 'Accuracy by release and client';
COMMENT ON COLUMN analytics_v1.accuracy_by_client.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.accuracy_by_client.client IS 'Who asked; null where nobody said';
COMMENT ON COLUMN analytics_v1.accuracy_by_client.answers IS 'Answers whose true place is known';
COMMENT ON COLUMN analytics_v1.accuracy_by_client.cannot_tell IS 'Of these, answers that say that the place cannot be told';
COMMENT ON COLUMN analytics_v1.accuracy_by_client.within_1_km IS 'Share of them within 1 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_client.within_25_km IS 'Share of them within 25 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_client.within_200_km IS 'Share of them within 200 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_client.within_750_km IS 'Share of them within 750 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_client.within_2500_km IS 'Share of them within 2500 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_client.median_error_km IS 'Median distance between answer and true place, in kilometres';
COMMENT ON VIEW analytics_v1.accuracy_by_level IS 'Accuracy of the best geocell of each level, by release';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.level IS '0 is the coarsest';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.answers IS 'Answers whose true place is known';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.covered IS 'Share of them whose true place lies in some geocell of the level, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.found IS 'Of the covered ones, share whose true place lies in the best geocell, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.within_1_km IS 'Share of them within 1 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.within_25_km IS 'Share of them within 25 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.within_200_km IS 'Share of them within 200 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.within_750_km IS 'Share of them within 750 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.within_2500_km IS 'Share of them within 2500 km of the true place, 0 to 1';
COMMENT ON COLUMN analytics_v1.accuracy_by_level.median_error_km IS 'Median distance between answer and true place, in kilometres';
COMMENT ON VIEW analytics_v1.calibration IS 'What was claimed beside what happened, in ten bins of the claimed probability, by release';
COMMENT ON COLUMN analytics_v1.calibration.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.calibration.claim IS 'geocell (the true place lies in the answered geocell), or within_1_km to within_2500_km';
COMMENT ON COLUMN analytics_v1.calibration.bin IS '0 to 9';
COMMENT ON COLUMN analytics_v1.calibration.bin_low IS 'Lower end of the bin';
COMMENT ON COLUMN analytics_v1.calibration.bin_high IS 'Upper end of the bin';
COMMENT ON COLUMN analytics_v1.calibration.answers IS 'Answers with known true place whose claimed probability lies in the bin';
COMMENT ON COLUMN analytics_v1.calibration.claimed IS 'Mean claimed probability';
COMMENT ON COLUMN analytics_v1.calibration.observed IS 'Share that came true';
COMMENT ON COLUMN analytics_v1.calibration.gap IS 'claimed - observed: above zero is too sure';
COMMENT ON VIEW analytics_v1.calibration_error IS 'How far claims and outcomes lie apart over all bins, by release';
COMMENT ON COLUMN analytics_v1.calibration_error.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.calibration_error.claim IS 'As in calibration';
COMMENT ON COLUMN analytics_v1.calibration_error.answers IS 'Answers whose true place is known';
COMMENT ON COLUMN analytics_v1.calibration_error.claimed IS 'Mean claimed probability';
COMMENT ON COLUMN analytics_v1.calibration_error.observed IS 'Share that came true';
COMMENT ON COLUMN analytics_v1.calibration_error.expected_error IS 'Mean of the absolute gaps, weighted by answers: the expected calibration error, 0 to 1';
COMMENT ON COLUMN analytics_v1.calibration_error.largest_gap IS 'Largest absolute gap of a bin';
COMMENT ON VIEW analytics_v1.worst_cells IS 'Finest geocells with their mistakes: photos taken there and answered elsewhere, and the reverse';
COMMENT ON COLUMN analytics_v1.worst_cells.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.worst_cells.token IS 'S2 token of the geocell';
COMMENT ON COLUMN analytics_v1.worst_cells.latitude IS 'Mean place of the geocell''s training photos, degrees north; null where the release''s contents were deleted';
COMMENT ON COLUMN analytics_v1.worst_cells.longitude IS 'Mean place of the geocell''s training photos, degrees east';
COMMENT ON COLUMN analytics_v1.worst_cells.photos IS 'Training photos in the geocell';
COMMENT ON COLUMN analytics_v1.worst_cells.truths IS 'Photos that were taken here';
COMMENT ON COLUMN analytics_v1.worst_cells.found IS 'Of these, answered with this geocell';
COMMENT ON COLUMN analytics_v1.worst_cells.truths_median_error_km IS 'Median error of the photos that were taken here, in kilometres';
COMMENT ON COLUMN analytics_v1.worst_cells.answers IS 'Answers with this geocell whose true place is known';
COMMENT ON COLUMN analytics_v1.worst_cells.right_answers IS 'Of these, taken here';
COMMENT ON COLUMN analytics_v1.worst_cells.answers_median_error_km IS 'Median error of the answers with this geocell, in kilometres';
COMMENT ON COLUMN analytics_v1.worst_cells.mistakes IS '(truths - found) + (answers - right_answers)';
COMMENT ON VIEW analytics_v1.score_drift IS 'How the confidence of a release is distributed compared with an earlier one';
COMMENT ON COLUMN analytics_v1.score_drift.baseline IS 'The earlier release';
COMMENT ON COLUMN analytics_v1.score_drift.release IS 'The later release';
COMMENT ON COLUMN analytics_v1.score_drift.baseline_answers IS 'Answers of the earlier release, shadows among them';
COMMENT ON COLUMN analytics_v1.score_drift.answers IS 'Answers of the later release, shadows among them';
COMMENT ON COLUMN analytics_v1.score_drift.baseline_mean_confidence IS 'Mean confidence of the earlier release';
COMMENT ON COLUMN analytics_v1.score_drift.mean_confidence IS 'Mean confidence of the later release';
COMMENT ON COLUMN analytics_v1.score_drift.psi IS 'Population stability index over ten bins of confidence, half an answer added to each; by custom 0.1 is some drift and 0.25 much';
COMMENT ON VIEW analytics_v1.place_drift IS 'How the answered places of a release are distributed compared with an earlier one';
COMMENT ON COLUMN analytics_v1.place_drift.baseline IS 'The earlier release';
COMMENT ON COLUMN analytics_v1.place_drift.release IS 'The later release';
COMMENT ON COLUMN analytics_v1.place_drift.over IS 'What is compared: country, or s2_level_4 (S2 cells about 500 km wide, the same for all releases)';
COMMENT ON COLUMN analytics_v1.place_drift.baseline_answers IS 'Answers of the earlier release, shadows among them';
COMMENT ON COLUMN analytics_v1.place_drift.answers IS 'Answers of the later release, shadows among them';
COMMENT ON COLUMN analytics_v1.place_drift.places IS 'Countries or cells that either of them answered; the sea counts as a country';
COMMENT ON COLUMN analytics_v1.place_drift.divergence_bits IS 'Jensen-Shannon divergence, 0 (the same) to 1 (no place in common)';
COMMENT ON VIEW analytics_v1.volume IS 'Answers by release, day and client';
COMMENT ON COLUMN analytics_v1.volume.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.volume.day IS 'Day of the answer, in UTC';
COMMENT ON COLUMN analytics_v1.volume.client IS 'Who asked; null where nobody said';
COMMENT ON COLUMN analytics_v1.volume.shadow IS 'Whether these are shadow answers, which no client saw';
COMMENT ON COLUMN analytics_v1.volume.answers IS 'Answers';
COMMENT ON COLUMN analytics_v1.volume.cannot_tell IS 'Of these, answers that say that the place cannot be told';
COMMENT ON COLUMN analytics_v1.volume.truths IS 'Of these, answers whose true place is known';
COMMENT ON VIEW analytics_v1.latency IS 'Time by stage, by release and day';
COMMENT ON COLUMN analytics_v1.latency.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.latency.day IS 'Day of the answer, in UTC';
COMMENT ON COLUMN analytics_v1.latency.stage IS 'queue, decode, preprocess, segment, encode, search, references or total';
COMMENT ON COLUMN analytics_v1.latency.answers IS 'Answers that recorded the stage';
COMMENT ON COLUMN analytics_v1.latency.mean_ms IS 'Mean, in milliseconds';
COMMENT ON COLUMN analytics_v1.latency.p50_ms IS 'Median, in milliseconds';
COMMENT ON COLUMN analytics_v1.latency.p90_ms IS '90th percentile, in milliseconds';
COMMENT ON COLUMN analytics_v1.latency.p99_ms IS '99th percentile, in milliseconds';
COMMENT ON COLUMN analytics_v1.latency.max_ms IS 'Longest, in milliseconds';
COMMENT ON VIEW analytics_v1.coverage IS 'What a release can and cannot answer';
COMMENT ON COLUMN analytics_v1.coverage.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.coverage.answers IS 'All answers, shadows among them';
COMMENT ON COLUMN analytics_v1.coverage.cannot_tell IS 'Of these, answers that say that the place cannot be told';
COMMENT ON COLUMN analytics_v1.coverage.cannot_tell_share IS 'cannot_tell / answers, 0 to 1';
COMMENT ON COLUMN analytics_v1.coverage.truths IS 'Answers whose true place is known';
COMMENT ON COLUMN analytics_v1.coverage.outside IS 'Share of these whose true place lies in none of the release''s finest geocells; null where its contents were deleted';
COMMENT ON COLUMN analytics_v1.coverage.among_candidates IS 'Share of these whose true place lies in one of the recorded candidates';
COMMENT ON COLUMN analytics_v1.coverage.credible_claimed IS 'Mean probability claimed for the credible region';
COMMENT ON COLUMN analytics_v1.coverage.credible_observed IS 'Share of these whose true place lies in the credible region';
COMMENT ON VIEW analytics_v1.shadows IS 'One row a shadow answer, beside the answer that was given';
COMMENT ON COLUMN analytics_v1.shadows.prediction IS 'Id of the answer that was given';
COMMENT ON COLUMN analytics_v1.shadows.shadow IS 'Id of the shadow answer';
COMMENT ON COLUMN analytics_v1.shadows.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.shadows.shadow_release IS 'The candidate release';
COMMENT ON COLUMN analytics_v1.shadows.day IS 'Day of the answer, in UTC';
COMMENT ON COLUMN analytics_v1.shadows.distance_km IS 'Great-circle distance between the two answers, in kilometres';
COMMENT ON COLUMN analytics_v1.shadows.same_geocell IS 'Whether both answered with the same finest geocell';
COMMENT ON COLUMN analytics_v1.shadows.same_country IS 'Whether both name the same country';
COMMENT ON COLUMN analytics_v1.shadows.confidence IS 'Confidence of the answer that was given';
COMMENT ON COLUMN analytics_v1.shadows.shadow_confidence IS 'Confidence of the shadow answer';
COMMENT ON COLUMN analytics_v1.shadows.error_km IS 'Distance of the given answer from the true place, in kilometres; null where that is not known';
COMMENT ON COLUMN analytics_v1.shadows.shadow_error_km IS 'Distance of the shadow answer from the true place, in kilometres';
COMMENT ON VIEW analytics_v1.shadow_agreement IS 'A candidate release beside the release that answered, on the same photos';
COMMENT ON COLUMN analytics_v1.shadow_agreement.release IS 'The release that answered';
COMMENT ON COLUMN analytics_v1.shadow_agreement.shadow_release IS 'The candidate release';
COMMENT ON COLUMN analytics_v1.shadow_agreement.answers IS 'Photos that both answered';
COMMENT ON COLUMN analytics_v1.shadow_agreement.same_geocell IS 'Share with the same finest geocell';
COMMENT ON COLUMN analytics_v1.shadow_agreement.same_country IS 'Share with the same country';
COMMENT ON COLUMN analytics_v1.shadow_agreement.within_25_km IS 'Share of answers that lie within 25 km of each other';
COMMENT ON COLUMN analytics_v1.shadow_agreement.median_distance_km IS 'Median distance between the two answers, in kilometres';
COMMENT ON COLUMN analytics_v1.shadow_agreement.mean_confidence_gain IS 'Mean of the candidate''s confidence minus the other''s';
COMMENT ON COLUMN analytics_v1.shadow_agreement.truths IS 'Photos whose true place is known';
COMMENT ON COLUMN analytics_v1.shadow_agreement.shadow_nearer IS 'Of these, the candidate is nearer to the true place';
COMMENT ON COLUMN analytics_v1.shadow_agreement.shadow_farther IS 'Of these, the candidate is farther from it';
COMMENT ON COLUMN analytics_v1.shadow_agreement.median_error_km IS 'Median error of the answers that were given, in kilometres';
COMMENT ON COLUMN analytics_v1.shadow_agreement.shadow_median_error_km IS 'Median error of the candidate''s answers, in kilometres';
