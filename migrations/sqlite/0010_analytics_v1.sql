-- Analytics: the views of migrations/postgres/0010_analytics_v1.sql with the prefix `analytics_v1_` (docs/analytics.md). They need
-- SQLite's mathematical functions, which .cargo/config.toml switches on and the usual shells have.
--
-- SQLite has no percentiles: the rows of a group are numbered in order, and the two rows around the wanted rank are weighted by
-- their distance from it. That is the linear interpolation of percentile_cont.
--
-- A later migration that rebuilds a table must drop these views first and make them again.

-- The S2 leaf cell of the true place, as a token of 16 hexadecimal digits: text order is the order of leaf cells, and a geocell is
-- a range of them. Written with the row; NULL in rows of an older version until `geosurge analytics refresh`.
ALTER TABLE ground_truth ADD COLUMN leaf TEXT CHECK (length(leaf) = 16);

-- Which geocell of a level holds a leaf cell: the last one that begins before it, if it ends after it. The last digit of a token
-- tells how many of its bits still vary.
ALTER TABLE geocells ADD COLUMN leaf_low TEXT GENERATED ALWAYS AS (
    substr(token, 1, length(token) - 1) || substr('00020446088a8cce', instr('0123456789abcdef', substr(token, -1)), 1)) VIRTUAL;
ALTER TABLE geocells ADD COLUMN leaf_high TEXT GENERATED ALWAYS AS (
    substr(token, 1, length(token) - 1) || substr('01337577f9bbfdff', instr('0123456789abcdef', substr(token, -1)), 1) || 'g') VIRTUAL;
CREATE INDEX geocells_leaf ON geocells (release, level, leaf_low);

CREATE VIEW analytics_v1_releases AS
SELECT id AS release, status, checkpoint_id, levels, geocells, reference_images, created_at, ready_at, activated_at
FROM releases;

CREATE VIEW analytics_v1_predictions AS
SELECT
    p.id AS prediction,
    p.release,
    p.created_at,
    substr(p.created_at, 1, 10) AS day,
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
    (SELECT c.token FROM prediction_candidates c WHERE c.prediction = p.id AND c.rank = 1) AS token,
    p.confidence,
    json_extract(p.within, '$."1"') AS within_1_km,
    json_extract(p.within, '$."25"') AS within_25_km,
    json_extract(p.within, '$."200"') AS within_200_km,
    json_extract(p.within, '$."750"') AS within_750_km,
    json_extract(p.within, '$."2500"') AS within_2500_km,
    p.entropy,
    p.cannot_tell IS NOT NULL AS cannot_tell,
    p.cannot_tell AS cannot_tell_reason,
    json_extract(p.credible_region, '$.probability') AS credible_probability,
    json_extract(p.credible_region, '$.area_km2') AS credible_area_km2,
    json_extract(p.timings, '$.total') AS total_ms,
    g.source AS truth_source,
    g.continent AS truth_continent,
    g.country_code AS truth_country_code,
    g.country AS truth_country,
    g.region AS truth_region,
    g.locality AS truth_locality,
    g.latitude AS truth_latitude,
    g.longitude AS truth_longitude,
    (SELECT CASE WHEN g.leaf < cell.leaf_high THEN cell.token END
     FROM geocells cell
     WHERE cell.release = p.release
       AND cell.level = (SELECT r.levels - 1 FROM releases r WHERE r.id = p.release)
       AND cell.leaf_low <= g.leaf
     ORDER BY cell.leaf_low DESC
     LIMIT 1) AS truth_token,
    2.0 * 6371.0 * asin(sqrt(min(1.0,
        power(sin(radians(g.latitude - p.latitude) / 2.0), 2)
        + cos(radians(p.latitude)) * cos(radians(g.latitude)) * power(sin(radians(g.longitude - p.longitude) / 2.0), 2)))) AS error_km
FROM predictions p
LEFT JOIN ground_truth g ON g.prediction = coalesce(p.shadow_of, p.id);

CREATE VIEW analytics_v1_candidates AS
SELECT
    p.id AS prediction,
    p.release,
    substr(p.created_at, 1, 10) AS day,
    c.rank,
    c.token,
    c.probability,
    c.latitude,
    c.longitude,
    g.leaf >= substr(c.token, 1, length(c.token) - 1) || substr('00020446088a8cce', instr('0123456789abcdef', substr(c.token, -1)), 1)
        AND g.leaf < substr(c.token, 1, length(c.token) - 1) || substr('01337577f9bbfdff', instr('0123456789abcdef', substr(c.token, -1)), 1) || 'g' AS holds_truth,
    2.0 * 6371.0 * asin(sqrt(min(1.0,
        power(sin(radians(g.latitude - c.latitude) / 2.0), 2)
        + cos(radians(c.latitude)) * cos(radians(g.latitude)) * power(sin(radians(g.longitude - c.longitude) / 2.0), 2)))) AS error_km
FROM predictions p
JOIN prediction_candidates c ON c.prediction = p.id
LEFT JOIN ground_truth g ON g.prediction = coalesce(p.shadow_of, p.id);

CREATE VIEW analytics_v1_levels AS
SELECT
    p.id AS prediction,
    p.release,
    substr(p.created_at, 1, 10) AS day,
    l.level,
    l.token,
    l.probability,
    l.latitude,
    l.longitude,
    (SELECT CASE WHEN g.leaf < cell.leaf_high THEN cell.token END
     FROM geocells cell
     WHERE cell.release = p.release AND cell.level = l.level AND cell.leaf_low <= g.leaf
     ORDER BY cell.leaf_low DESC
     LIMIT 1) AS truth_token,
    g.leaf >= substr(l.token, 1, length(l.token) - 1) || substr('00020446088a8cce', instr('0123456789abcdef', substr(l.token, -1)), 1)
        AND g.leaf < substr(l.token, 1, length(l.token) - 1) || substr('01337577f9bbfdff', instr('0123456789abcdef', substr(l.token, -1)), 1) || 'g' AS holds_truth,
    2.0 * 6371.0 * asin(sqrt(min(1.0,
        power(sin(radians(g.latitude - l.latitude) / 2.0), 2)
        + cos(radians(l.latitude)) * cos(radians(g.latitude)) * power(sin(radians(g.longitude - l.longitude) / 2.0), 2)))) AS error_km
FROM predictions p
JOIN prediction_levels l ON l.prediction = p.id
LEFT JOIN ground_truth g ON g.prediction = coalesce(p.shadow_of, p.id);

-- z = 1.959964, the normal distribution's 97.5 % quantile.
CREATE VIEW analytics_v1_accuracy AS
WITH t (threshold, threshold_km) AS (
    VALUES ('street', 1), ('city', 25), ('region', 200), ('country', 750), ('continent', 2500)
), counted AS (
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
    FROM analytics_v1_predictions p
    CROSS JOIN t
    WHERE p.truth_latitude IS NOT NULL
    GROUP BY p.release, t.threshold, t.threshold_km
), shares AS (
    SELECT *, hits * 1.0 / answers AS accuracy FROM counted
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

CREATE VIEW analytics_v1_accuracy_by_day AS
SELECT
    release,
    day,
    count(*) AS answers,
    count(*) FILTER (WHERE cannot_tell) AS cannot_tell,
    avg(error_km <= 1) AS within_1_km,
    avg(error_km <= 25) AS within_25_km,
    avg(error_km <= 200) AS within_200_km,
    avg(error_km <= 750) AS within_750_km,
    avg(error_km <= 2500) AS within_2500_km,
    sum(error_km * max(0.0, 1.0 - abs(n - 1 - 0.5 * (c - 1)))) AS median_error_km
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY release, day ORDER BY error_km) AS n,
        count(*) OVER (PARTITION BY release, day) AS c
    FROM analytics_v1_predictions
    WHERE truth_latitude IS NOT NULL
)
GROUP BY release, day;

CREATE VIEW analytics_v1_accuracy_by_continent AS
SELECT
    release,
    truth_continent,
    count(*) AS answers,
    count(*) FILTER (WHERE cannot_tell) AS cannot_tell,
    avg(error_km <= 1) AS within_1_km,
    avg(error_km <= 25) AS within_25_km,
    avg(error_km <= 200) AS within_200_km,
    avg(error_km <= 750) AS within_750_km,
    avg(error_km <= 2500) AS within_2500_km,
    sum(error_km * max(0.0, 1.0 - abs(n - 1 - 0.5 * (c - 1)))) AS median_error_km,
    avg(coalesce(continent = truth_continent, FALSE)) AS same_continent
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY release, truth_continent ORDER BY error_km) AS n,
        count(*) OVER (PARTITION BY release, truth_continent) AS c
    FROM analytics_v1_predictions
    WHERE truth_latitude IS NOT NULL
)
GROUP BY release, truth_continent;

CREATE VIEW analytics_v1_accuracy_by_country AS
SELECT
    release,
    truth_continent,
    truth_country_code,
    truth_country,
    count(*) AS answers,
    count(*) FILTER (WHERE cannot_tell) AS cannot_tell,
    avg(error_km <= 1) AS within_1_km,
    avg(error_km <= 25) AS within_25_km,
    avg(error_km <= 200) AS within_200_km,
    avg(error_km <= 750) AS within_750_km,
    avg(error_km <= 2500) AS within_2500_km,
    sum(error_km * max(0.0, 1.0 - abs(n - 1 - 0.5 * (c - 1)))) AS median_error_km,
    avg(coalesce(country_code = truth_country_code, FALSE)) AS same_country
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY release, truth_continent, truth_country_code, truth_country ORDER BY error_km) AS n,
        count(*) OVER (PARTITION BY release, truth_continent, truth_country_code, truth_country) AS c
    FROM analytics_v1_predictions
    WHERE truth_latitude IS NOT NULL
)
GROUP BY release, truth_continent, truth_country_code, truth_country;

CREATE VIEW analytics_v1_accuracy_by_client AS
SELECT
    release,
    client,
    count(*) AS answers,
    count(*) FILTER (WHERE cannot_tell) AS cannot_tell,
    avg(error_km <= 1) AS within_1_km,
    avg(error_km <= 25) AS within_25_km,
    avg(error_km <= 200) AS within_200_km,
    avg(error_km <= 750) AS within_750_km,
    avg(error_km <= 2500) AS within_2500_km,
    sum(error_km * max(0.0, 1.0 - abs(n - 1 - 0.5 * (c - 1)))) AS median_error_km
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY release, client ORDER BY error_km) AS n,
        count(*) OVER (PARTITION BY release, client) AS c
    FROM analytics_v1_predictions
    WHERE truth_latitude IS NOT NULL
)
GROUP BY release, client;

CREATE VIEW analytics_v1_accuracy_by_level AS
SELECT
    release,
    level,
    count(*) AS answers,
    count(truth_token) * 1.0 / count(*) AS covered,
    count(*) FILTER (WHERE holds_truth) * 1.0 / nullif(count(truth_token), 0) AS found,
    avg(error_km <= 1) AS within_1_km,
    avg(error_km <= 25) AS within_25_km,
    avg(error_km <= 200) AS within_200_km,
    avg(error_km <= 750) AS within_750_km,
    avg(error_km <= 2500) AS within_2500_km,
    sum(error_km * max(0.0, 1.0 - abs(n - 1 - 0.5 * (c - 1)))) AS median_error_km
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY release, level ORDER BY error_km) AS n,
        count(*) OVER (PARTITION BY release, level) AS c
    FROM analytics_v1_levels
    WHERE error_km IS NOT NULL
)
GROUP BY release, level;

CREATE VIEW analytics_v1_calibration AS
WITH known AS (
    SELECT release, token, truth_token, confidence, within_1_km, within_25_km, within_200_km, within_750_km,
           within_2500_km, error_km
    FROM analytics_v1_predictions
    WHERE truth_latitude IS NOT NULL
), claims (release, claim, claimed, happened) AS (
    SELECT release, 'geocell', confidence, coalesce(truth_token = token, FALSE) FROM known
    UNION ALL SELECT release, 'within_1_km', within_1_km, error_km <= 1 FROM known
    UNION ALL SELECT release, 'within_25_km', within_25_km, error_km <= 25 FROM known
    UNION ALL SELECT release, 'within_200_km', within_200_km, error_km <= 200 FROM known
    UNION ALL SELECT release, 'within_750_km', within_750_km, error_km <= 750 FROM known
    UNION ALL SELECT release, 'within_2500_km', within_2500_km, error_km <= 2500 FROM known
), binned AS (
    SELECT release, claim, max(0, min(9, CAST(floor(claimed * 10) AS INTEGER))) AS bin, claimed, happened FROM claims
)
SELECT
    release,
    claim,
    bin,
    bin / 10.0 AS bin_low,
    (bin + 1) / 10.0 AS bin_high,
    count(*) AS answers,
    avg(claimed) AS claimed,
    avg(happened) AS observed,
    avg(claimed) - avg(happened) AS gap
FROM binned
GROUP BY release, claim, bin;

CREATE VIEW analytics_v1_calibration_error AS
SELECT
    release,
    claim,
    sum(answers) AS answers,
    sum(answers * claimed) / sum(answers) AS claimed,
    sum(answers * observed) / sum(answers) AS observed,
    sum(answers * abs(gap)) / sum(answers) AS expected_error,
    max(abs(gap)) AS largest_gap
FROM analytics_v1_calibration
GROUP BY release, claim;

CREATE VIEW analytics_v1_worst_cells AS
WITH known AS MATERIALIZED (
    SELECT release, token, truth_token, error_km FROM analytics_v1_predictions WHERE truth_latitude IS NOT NULL
), taken AS (
    SELECT
        release,
        truth_token AS token,
        count(*) AS truths,
        count(*) FILTER (WHERE token = truth_token) AS found,
        sum(error_km * max(0.0, 1.0 - abs(n - 1 - 0.5 * (c - 1)))) AS median_error_km
    FROM (
        SELECT
            *,
            row_number() OVER (PARTITION BY release, truth_token ORDER BY error_km) AS n,
            count(*) OVER (PARTITION BY release, truth_token) AS c
        FROM known
        WHERE truth_token IS NOT NULL
    )
    GROUP BY release, truth_token
), given AS (
    SELECT
        release,
        token,
        count(*) AS answers,
        count(*) FILTER (WHERE token = truth_token) AS right_answers,
        sum(error_km * max(0.0, 1.0 - abs(n - 1 - 0.5 * (c - 1)))) AS median_error_km
    FROM (
        SELECT
            *,
            row_number() OVER (PARTITION BY release, token ORDER BY error_km) AS n,
            count(*) OVER (PARTITION BY release, token) AS c
        FROM known
        WHERE token IS NOT NULL
    )
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
LEFT JOIN releases r ON r.id = cells.release
LEFT JOIN geocells g ON g.release = cells.release AND g.level = r.levels - 1 AND g.token = cells.token;

CREATE VIEW analytics_v1_score_drift AS
WITH bins (bin) AS (
    VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)
), counted AS (
    SELECT
        release,
        max(0, min(9, CAST(floor(confidence * 10) AS INTEGER))) AS bin,
        count(*) AS answers,
        sum(confidence) AS confidence
    FROM predictions
    GROUP BY 1, 2
), totals AS (
    SELECT release, sum(answers) AS answers, sum(confidence) / sum(answers) AS confidence FROM counted GROUP BY release
), shares AS MATERIALIZED (
    SELECT t.release, bins.bin, (coalesce(c.answers, 0) + 0.5) / (t.answers + 5.0) AS share
    FROM totals t
    CROSS JOIN bins
    LEFT JOIN counted c ON c.release = t.release AND c.bin = bins.bin
)
SELECT
    b.id AS baseline,
    r.id AS release,
    bt.answers AS baseline_answers,
    rt.answers,
    bt.confidence AS baseline_mean_confidence,
    rt.confidence AS mean_confidence,
    (SELECT sum((rs.share - bs.share) * ln(rs.share / bs.share))
     FROM shares bs JOIN shares rs ON rs.bin = bs.bin
     WHERE bs.release = b.id AND rs.release = r.id) AS psi
FROM releases b
JOIN releases r ON (b.created_at, b.id) < (r.created_at, r.id)
JOIN totals bt ON bt.release = b.id
JOIN totals rt ON rt.release = r.id;

CREATE VIEW analytics_v1_place_drift AS
WITH counted (release, over, place, answers) AS (
    SELECT release, 'country', coalesce(country_code, ''), count(*)
    FROM predictions
    GROUP BY 1, 3
    UNION ALL
    SELECT
        p.release,
        's2_level_4',
        CASE
            WHEN length(c.token) <= 3 THEN c.token
            ELSE substr(c.token, 1, 2)
                || substr('1133557799bbddff', instr('0123456789abcdef', substr(c.token, 3, 1)), 1)
        END,
        count(*)
    FROM predictions p
    JOIN prediction_candidates c ON c.prediction = p.id AND c.rank = 1
    GROUP BY 1, 3
), totals AS (
    SELECT release, over, sum(answers) AS answers FROM counted GROUP BY release, over
), shares AS MATERIALIZED (
    SELECT c.release, c.over, c.place, c.answers * 1.0 / t.answers AS share
    FROM counted c
    JOIN totals t ON t.release = c.release AND t.over = c.over
), pairs AS MATERIALIZED (
    SELECT b.id AS baseline, r.id AS release, bt.over, bt.answers AS baseline_answers, rt.answers
    FROM releases b
    JOIN releases r ON (b.created_at, b.id) < (r.created_at, r.id)
    JOIN totals bt ON bt.release = b.id
    JOIN totals rt ON rt.release = r.id AND rt.over = bt.over
), sides (baseline, release, over, place, p, q) AS (
    SELECT pairs.baseline, pairs.release, pairs.over, s.place, s.share, 0.0
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
    sum(CASE WHEN p > 0 THEN p * ln(2 * p / (p + q)) ELSE 0 END
        + CASE WHEN q > 0 THEN q * ln(2 * q / (p + q)) ELSE 0 END) / (2 * ln(2.0)) AS divergence_bits
FROM pairs
JOIN both_sides USING (baseline, release, over)
GROUP BY pairs.baseline, pairs.release, pairs.over, pairs.baseline_answers, pairs.answers;

CREATE VIEW analytics_v1_volume AS
SELECT
    p.release,
    substr(p.created_at, 1, 10) AS day,
    p.client,
    p.shadow_of IS NOT NULL AS shadow,
    count(*) AS answers,
    count(p.cannot_tell) AS cannot_tell,
    count(g.prediction) AS truths
FROM predictions p
LEFT JOIN ground_truth g ON g.prediction = coalesce(p.shadow_of, p.id)
GROUP BY 1, 2, 3, 4;

CREATE VIEW analytics_v1_latency AS
SELECT
    release,
    day,
    stage,
    count(*) AS answers,
    avg(ms) AS mean_ms,
    sum(ms * max(0.0, 1.0 - abs(n - 1 - 0.5 * (c - 1)))) AS p50_ms,
    sum(ms * max(0.0, 1.0 - abs(n - 1 - 0.9 * (c - 1)))) AS p90_ms,
    sum(ms * max(0.0, 1.0 - abs(n - 1 - 0.99 * (c - 1)))) AS p99_ms,
    max(ms) AS max_ms
FROM (
    SELECT
        p.release,
        substr(p.created_at, 1, 10) AS day,
        t.key AS stage,
        CAST(t.value AS REAL) AS ms,
        row_number() OVER (PARTITION BY p.release, substr(p.created_at, 1, 10), t.key ORDER BY t.value) AS n,
        count(*) OVER (PARTITION BY p.release, substr(p.created_at, 1, 10), t.key) AS c
    FROM predictions p
    CROSS JOIN json_each(p.timings) AS t
)
GROUP BY release, day, stage;

CREATE VIEW analytics_v1_coverage AS
WITH answered AS (
    SELECT release, count(*) AS answers, count(cannot_tell) AS cannot_tell FROM predictions GROUP BY release
), known AS (
    SELECT
        p.release,
        count(*) AS truths,
        avg(p.truth_token IS NULL) AS outside,
        avg(EXISTS (
            SELECT 1 FROM analytics_v1_candidates c WHERE c.prediction = p.prediction AND c.holds_truth
        )) AS among_candidates,
        avg(p.credible_probability) AS credible_claimed
    FROM analytics_v1_predictions p
    WHERE p.truth_latitude IS NOT NULL
    GROUP BY p.release
), credible AS (
    SELECT
        p.release,
        avg(EXISTS (
            SELECT 1 FROM json_each(p.credible_region, '$.geocells') AS cell
            WHERE g.leaf >= substr(cell.value, 1, length(cell.value) - 1) || substr('00020446088a8cce', instr('0123456789abcdef', substr(cell.value, -1)), 1)
            AND g.leaf < substr(cell.value, 1, length(cell.value) - 1) || substr('01337577f9bbfdff', instr('0123456789abcdef', substr(cell.value, -1)), 1) || 'g'
        )) AS credible_observed
    FROM predictions p
    JOIN ground_truth g ON g.prediction = coalesce(p.shadow_of, p.id)
    GROUP BY p.release
)
SELECT
    answered.release,
    answered.answers,
    answered.cannot_tell,
    answered.cannot_tell * 1.0 / answered.answers AS cannot_tell_share,
    coalesce(known.truths, 0) AS truths,
    CASE WHEN EXISTS (SELECT 1 FROM geocells g WHERE g.release = answered.release) THEN known.outside END AS outside,
    known.among_candidates,
    known.credible_claimed,
    credible.credible_observed
FROM answered
LEFT JOIN known ON known.release = answered.release
LEFT JOIN credible ON credible.release = answered.release;

CREATE VIEW analytics_v1_shadows AS
SELECT
    p.id AS prediction,
    s.id AS shadow,
    p.release,
    s.release AS shadow_release,
    substr(p.created_at, 1, 10) AS day,
    2.0 * 6371.0 * asin(sqrt(min(1.0,
        power(sin(radians(s.latitude - p.latitude) / 2.0), 2)
        + cos(radians(p.latitude)) * cos(radians(s.latitude)) * power(sin(radians(s.longitude - p.longitude) / 2.0), 2)))) AS distance_km,
    (SELECT c.token FROM prediction_candidates c WHERE c.prediction = p.id AND c.rank = 1)
        = (SELECT c.token FROM prediction_candidates c WHERE c.prediction = s.id AND c.rank = 1) AS same_geocell,
    coalesce(p.country_code = s.country_code, FALSE) AS same_country,
    p.confidence,
    s.confidence AS shadow_confidence,
    2.0 * 6371.0 * asin(sqrt(min(1.0,
        power(sin(radians(g.latitude - p.latitude) / 2.0), 2)
        + cos(radians(p.latitude)) * cos(radians(g.latitude)) * power(sin(radians(g.longitude - p.longitude) / 2.0), 2)))) AS error_km,
    2.0 * 6371.0 * asin(sqrt(min(1.0,
        power(sin(radians(g.latitude - s.latitude) / 2.0), 2)
        + cos(radians(s.latitude)) * cos(radians(g.latitude)) * power(sin(radians(g.longitude - s.longitude) / 2.0), 2)))) AS shadow_error_km
FROM predictions s
JOIN predictions p ON p.id = s.shadow_of
LEFT JOIN ground_truth g ON g.prediction = p.id;

CREATE VIEW analytics_v1_shadow_agreement AS
SELECT
    release,
    shadow_release,
    count(*) AS answers,
    avg(coalesce(same_geocell, FALSE)) AS same_geocell,
    avg(same_country) AS same_country,
    avg(distance_km <= 25) AS within_25_km,
    sum(distance_km * max(0.0, 1.0 - abs(distance_rank - 1 - 0.5 * (answers - 1)))) AS median_distance_km,
    avg(shadow_confidence - confidence) AS mean_confidence_gain,
    count(error_km) AS truths,
    count(*) FILTER (WHERE shadow_error_km < error_km) AS shadow_nearer,
    count(*) FILTER (WHERE shadow_error_km > error_km) AS shadow_farther,
    sum(error_km * max(0.0, 1.0 - abs(error_rank - 1 - 0.5 * (truths - 1)))) AS median_error_km,
    sum(shadow_error_km * max(0.0, 1.0 - abs(shadow_error_rank - 1 - 0.5 * (truths - 1)))) AS shadow_median_error_km
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY release, shadow_release ORDER BY distance_km) AS distance_rank,
        row_number() OVER (PARTITION BY release, shadow_release ORDER BY error_km IS NULL, error_km) AS error_rank,
        row_number() OVER (PARTITION BY release, shadow_release ORDER BY shadow_error_km IS NULL, shadow_error_km)
            AS shadow_error_rank,
        count(*) OVER (PARTITION BY release, shadow_release) AS answers,
        count(error_km) OVER (PARTITION BY release, shadow_release) AS truths
    FROM analytics_v1_shadows
)
GROUP BY release, shadow_release;
