-- Synthetic answers for measuring the analytics views: three releases, the third a candidate that shadows one answer in
-- twenty; a tenth of the answers with a true place. Run it on a database of its own, which `run.sh` makes:
--
--     psql -v answers=10000000 -f benches/analytics/generate.sql
--
-- Triggers and foreign keys are off meanwhile (superusers may); the rows keep to both.
\set ON_ERROR_STOP on
\timing on
SET session_replication_role = replica;
SET synchronous_commit = off;
SET max_parallel_workers_per_gather = 0;
SELECT setseed(0.5);

INSERT INTO releases (id, status, checkpoint_id, checkpoint_path, embedding_dimension, levels, dataset_digest, store,
                      created_at, ready_at, activated_at)
SELECT id, status, md5(id), 'checkpoints/' || id, 768, 4, 'd', '{}', at::timestamptz, at::timestamptz, at::timestamptz
FROM (VALUES ('spring', 'retired', '2026-02-27'), ('summer', 'active', '2026-04-30'), ('autumn', 'ready', '2026-05-31'))
    AS r (id, status, at);

-- Four levels: S2 levels 2, 4, 5 and 6. An S2 cell of level k is 3 bits of face, 2 k of position, and a 1.
INSERT INTO geocells (release, level, position, token, parent_token, photos, latitude, longitude)
SELECT
    r.id,
    l.level,
    cell.n,
    rtrim(lpad(to_hex(((cell.n << 1) | 1) << (12 - 2 * l.s2)), 4, '0'), '0'),
    NULL,
    50 + (random() * 700)::int,
    degrees(asin(2 * random() - 1)),
    360 * random() - 180
FROM releases r
CROSS JOIN (VALUES (0, 2), (1, 4), (2, 5), (3, 6)) AS l (level, s2)
CROSS JOIN LATERAL generate_series(0, 6 * (1 << (2 * l.s2)) - 1) AS cell (n);

SELECT geosurge_make_month(month) FROM generate_series('2026-03-01'::timestamptz, '2026-06-01', '1 month') AS month;

-- A cell by its number, the same places for all releases.
CREATE TEMPORARY TABLE cell AS
SELECT position, token, latitude, longitude FROM geocells WHERE release = 'spring' AND level = 3;
CREATE UNIQUE INDEX ON cell (position);

-- Where and how sure, answer by answer; a fifth of the cells get most of them, and two answers in five are right.
CREATE UNLOGGED TABLE answer AS
SELECT
    n,
    moment,
    (left(hex, 8) || '-' || right(hex, 4) || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id,
    shadow,
    given,
    CASE WHEN shadow THEN 'autumn' WHEN moment < '2026-05-01' THEN 'spring' ELSE 'summer' END AS release,
    floor(power(random(), 3) * 24576)::int AS cell,
    random() AS luck,
    power(random(), 0.7) AS confidence,
    random() AS noise,
    floor(power(random(), 2) * 12)::int AS client,
    floor(power(random(), 2) * 60)::int AS country
FROM (
    SELECT
        n,
        -- Every twentieth answer of May and June is a shadow of the one before it.
        '2026-03-01'::timestamptz + (n - (n % 20 = 0)::int) * interval '122 days' / :answers AS moment,
        n % 20 = 0 AND n > :answers / 2 AS shadow,
        n - 1 AS given
    FROM generate_series(1, :answers) AS n
) AS made
CROSS JOIN LATERAL (SELECT lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') AS hex) AS h;
CREATE INDEX ON answer (n);
ANALYZE answer;
-- Seven shadows in ten agree with what they shadow.
UPDATE answer s SET cell = g.cell, country = g.country FROM answer g WHERE s.shadow AND g.n = s.given AND s.luck < 0.7;

INSERT INTO predictions (id, release, created_at, photo_sha256, file_name, latitude, longitude, confidence, within, entropy,
                         cannot_tell, credible_region, "references", timings, client, shadow_of, continent,
                         country_code, country)
SELECT
    a.id,
    a.release,
    a.moment,
    md5(a.n::text) || md5((-a.n)::text),
    NULL,
    c.latitude,
    c.longitude,
    a.confidence,
    jsonb_build_object(
        '1', round((a.confidence * 0.2)::numeric, 4), '25', round((a.confidence * 0.6)::numeric, 4),
        '200', round((a.confidence * 0.7)::numeric, 4), '750', round((a.confidence * 0.8)::numeric, 4),
        '2500', round((a.confidence * 0.9)::numeric, 4)),
    5 * (1 - a.confidence),
    CASE WHEN a.confidence < 0.1 THEN 'the posterior is flat' END,
    jsonb_build_object(
        'probability', 0.9, 'area_km2', round((a.noise * 1e6)::numeric, 1),
        'geocells', jsonb_build_array(c.token, d.token, e.token)),
    '[]',
    jsonb_build_object(
        'queue', round((a.noise * 3)::numeric, 2), 'decode', round((4 + a.noise * 6)::numeric, 2),
        'encode', round((40 + a.luck * 30)::numeric, 2), 'search', round((1 + a.noise * 2)::numeric, 2),
        'total', round((50 + a.luck * 30 + a.noise * 11)::numeric, 2)),
    'client-' || a.client,
    CASE WHEN a.shadow THEN g.id END,
    'Continent ' || a.country % 6,
    chr(65 + a.country / 26) || chr(65 + a.country % 26),
    'Country ' || a.country
FROM answer a
JOIN cell c ON c.position = a.cell
JOIN cell d ON d.position = (a.cell + 7) % 24576
JOIN cell e ON e.position = (a.cell + 11) % 24576
LEFT JOIN answer g ON a.shadow AND g.n = a.given
ORDER BY a.id;

INSERT INTO prediction_candidates (prediction, rank, token, probability, latitude, longitude)
SELECT a.id, rank, c.token, a.confidence / rank, c.latitude, c.longitude
FROM answer a
CROSS JOIN generate_series(1, 3) AS rank
JOIN cell c ON c.position = (a.cell + 7 * (rank - 1)) % 24576
ORDER BY a.id, rank;

-- The true place: in the answered cell for two in five, in the second candidate for one in five, elsewhere for the others.
CREATE UNLOGGED TABLE truth AS
SELECT
    a.id,
    a.moment,
    a.noise,
    a.luck,
    a.country,
    CASE
        WHEN a.luck < 0.4 THEN a.cell
        WHEN a.luck < 0.6 THEN (a.cell + 7) % 24576
        ELSE floor(power(random(), 3) * 24576)::int
    END AS cell
FROM answer a
WHERE a.n % 10 = 9;

INSERT INTO ground_truth (prediction, latitude, longitude, source, created_at, continent, country_code, country, leaf)
SELECT
    t.id,
    greatest(-90, least(90, c.latitude + t.noise)),
    greatest(-180, least(180, c.longitude + t.luck)),
    'exif',
    t.moment,
    'Continent ' || t.country % 6,
    chr(65 + t.country / 26) || chr(65 + t.country % 26),
    'Country ' || t.country,
    left(c.token, 3) || substr('02468ace', strpos('13579bdf', substr(c.token, 4, 1)), 1)
        || lpad(to_hex((random() * 281474976710655)::bigint | 1), 12, '0')
FROM truth t
JOIN cell c ON c.position = t.cell
ORDER BY t.id;

-- The best cell of each level: the one that holds the answered cell.
INSERT INTO prediction_levels (prediction, level, token, probability, latitude, longitude)
SELECT
    t.id,
    l.level,
    rtrim(lpad(to_hex((((a.cell >> (12 - 2 * l.s2)) << 1) | 1) << (12 - 2 * l.s2)), 4, '0'), '0'),
    a.confidence,
    c.latitude,
    c.longitude
FROM truth t
JOIN answer a ON a.id = t.id
JOIN cell c ON c.position = a.cell
CROSS JOIN (VALUES (0, 2), (1, 4), (2, 5), (3, 6)) AS l (level, s2)
ORDER BY t.id, l.level;

DROP TABLE answer, truth;
RESET session_replication_role;
VACUUM (ANALYZE) releases, geocells, predictions, prediction_candidates, prediction_levels, ground_truth;
SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE n_live_tup > 0 ORDER BY relname;
SELECT pg_size_pretty(pg_database_size(current_database())) AS size;
