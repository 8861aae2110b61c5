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

-- Great-circle distance in kilometres by the haversine formula on a sphere of 6371 km, as everywhere in the program.
CREATE FUNCTION analytics_v1.distance_km(
    latitude_a double precision, longitude_a double precision, latitude_b double precision, longitude_b double precision
) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    2.0 * 6371.0 * asin(sqrt(least(1.0,
        power(sin(radians(latitude_b - latitude_a) / 2.0), 2)
        + cos(radians(latitude_a)) * cos(radians(latitude_b)) * power(sin(radians(longitude_b - longitude_a) / 2.0), 2))));

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
    avg((truth_token IS NOT NULL)::int)::double precision AS covered,
    avg(holds_truth::int) FILTER (WHERE truth_token IS NOT NULL)::double precision AS found,
    avg((error_km <= 1)::int)::double precision AS within_1_km,
    avg((error_km <= 25)::int)::double precision AS within_25_km,
    avg((error_km <= 200)::int)::double precision AS within_200_km,
    avg((error_km <= 750)::int)::double precision AS within_750_km,
    avg((error_km <= 2500)::int)::double precision AS within_2500_km,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY error_km) AS median_error_km
FROM analytics_v1.levels
WHERE error_km IS NOT NULL
GROUP BY release, level;

CREATE VIEW analytics_v1.calibration AS
WITH claims AS (
    SELECT
        p.release,
        c.claim,
        c.claimed,
        c.happened
    FROM analytics_v1.predictions p
    CROSS JOIN LATERAL (VALUES
        ('geocell', p.confidence, coalesce(p.truth_token = p.token, false)),
        ('within_1_km', p.within_1_km, p.error_km <= 1),
        ('within_25_km', p.within_25_km, p.error_km <= 25),
        ('within_200_km', p.within_200_km, p.error_km <= 200),
        ('within_750_km', p.within_750_km, p.error_km <= 750),
        ('within_2500_km', p.within_2500_km, p.error_km <= 2500)
    ) AS c (claim, claimed, happened)
    WHERE p.truth_latitude IS NOT NULL
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
WITH known AS (
    SELECT release, token, truth_token, error_km FROM analytics_v1.predictions WHERE truth_latitude IS NOT NULL
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
        avg((p.truth_token IS NULL)::int)::double precision AS outside,
        avg(EXISTS (
            SELECT FROM analytics_v1.candidates c WHERE c.prediction = p.prediction AND c.holds_truth
        )::int)::double precision AS among_candidates,
        avg(p.credible_probability) AS credible_claimed
    FROM analytics_v1.predictions p
    WHERE p.truth_latitude IS NOT NULL
    GROUP BY p.release
), credible AS (
    SELECT
        p.release,
        avg(EXISTS (
            SELECT FROM jsonb_array_elements_text(p.credible_region -> 'geocells') AS cell (token)
            WHERE g.leaf >= analytics_v1.leaf_low(cell.token) AND g.leaf < analytics_v1.leaf_high(cell.token)
        )::int)::double precision AS credible_observed
    FROM public.predictions p
    JOIN public.ground_truth g ON g.prediction = coalesce(p.shadow_of, p.id)
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
    credible.credible_observed
FROM answered
LEFT JOIN known ON known.release = answered.release
LEFT JOIN credible ON credible.release = answered.release;

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
