-- The catalog of a team. Tables and columns have the names that they have in SQLite (migrations/sqlite); times are
-- timestamptz, ids of predictions and images uuid, structured values jsonb. Places are degrees.

CREATE TABLE releases (
    id                  text        NOT NULL PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,47}$'),
    status              text        NOT NULL
        CHECK (status IN ('building', 'ready', 'active', 'retired', 'failed', 'pruned')),
    checkpoint_id       text        NOT NULL,
    checkpoint_path     text        NOT NULL,
    embedding_dimension bigint      NOT NULL CHECK (embedding_dimension > 0),
    levels              bigint      NOT NULL CHECK (levels > 0),
    dataset_digest      text        NOT NULL,
    store               jsonb       NOT NULL,
    geocells            bigint      CHECK (geocells >= 0),
    reference_images    bigint      CHECK (reference_images >= 0),
    message             text,
    created_at          timestamptz NOT NULL,
    ready_at            timestamptz,
    activated_at        timestamptz
);

-- At most one release is active, whoever writes.
CREATE UNIQUE INDEX releases_one_active ON releases (status) WHERE status = 'active';

-- The life of a release, whoever writes. A failed build goes on as building.
CREATE FUNCTION releases_life() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status || '>' || NEW.status NOT IN (
        'building>ready', 'ready>active', 'active>retired', 'retired>active', 'failed>building',
        'ready>pruned', 'retired>pruned', 'failed>pruned',
        'building>failed', 'ready>failed', 'active>failed', 'retired>failed')
    THEN
        RAISE EXCEPTION 'release % is % and cannot become %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER releases_life BEFORE UPDATE OF status ON releases
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION releases_life();

-- Grows by one with every change of a release; services are notified on the channel `geosurge_releases`, and may ask.
CREATE TABLE release_changes (
    "only"  integer NOT NULL PRIMARY KEY CHECK ("only" = 1),
    changes bigint  NOT NULL
);

INSERT INTO release_changes ("only", changes) VALUES (1, 0);

CREATE FUNCTION releases_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_at bigint;
BEGIN
    UPDATE release_changes SET changes = changes + 1 RETURNING changes INTO now_at;
    PERFORM pg_notify('geosurge_releases', now_at::text);
    RETURN NULL;
END
$$;

CREATE TRIGGER releases_inserted AFTER INSERT ON releases
    FOR EACH ROW EXECUTE FUNCTION releases_changed();
CREATE TRIGGER releases_status_changed AFTER UPDATE OF status ON releases
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION releases_changed();

-- One row a geocell and level: a cell that was not split belongs to several levels.
CREATE TABLE geocells (
    release      text             NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
    level        bigint           NOT NULL CHECK (level >= 0),
    position     bigint           NOT NULL CHECK (position >= 0),
    token        text             NOT NULL,
    parent_token text,
    photos       bigint           NOT NULL CHECK (photos >= 0),
    latitude     double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude    double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    PRIMARY KEY (release, level, position)
);

CREATE UNIQUE INDEX geocells_token ON geocells (release, token, level);

CREATE TABLE reference_images (
    release     text             NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
    id          uuid             NOT NULL,
    path        text             NOT NULL,
    latitude    double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude   double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    token       text,
    sha256      text             NOT NULL,
    captured_at timestamptz,
    uploader    text,
    PRIMARY KEY (release, id)
);

CREATE INDEX reference_images_sha256 ON reference_images (release, sha256);
CREATE INDEX reference_images_token ON reference_images (release, token);

-- Predictions are kept by month. The key of a partition is the id, a UUID of version 7 that starts with the time: so the id
-- alone stays the primary key, and foreign keys can point at it. `created_at` lies within an hour of the id's time.
CREATE TABLE predictions (
    id              uuid             NOT NULL PRIMARY KEY CHECK (substr(id::text, 15, 1) = '7'),
    release         text             NOT NULL REFERENCES releases (id),
    created_at      timestamptz      NOT NULL,
    photo_sha256    text             NOT NULL,
    file_name       text,
    latitude        double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude       double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    confidence      double precision NOT NULL,
    -- Probability by distance: {"1": …, "25": …, "200": …, "750": …, "2500": …} (km).
    within          jsonb            NOT NULL CHECK (jsonb_typeof(within) = 'object'),
    entropy         double precision NOT NULL,
    cannot_tell     text,
    -- {"probability": …, "geocells": [token, …], "area_km2": …}
    credible_region jsonb            NOT NULL CHECK (jsonb_typeof(credible_region) = 'object'),
    -- [{"id": …, "similarity": …}, …], most similar first.
    "references"    jsonb            NOT NULL CHECK (jsonb_typeof("references") = 'array'),
    -- Milliseconds by stage.
    timings         jsonb            NOT NULL CHECK (jsonb_typeof(timings) = 'object'),
    client          text,
    -- The answer of a candidate release to the photo of a prediction; never given to a client.
    shadow_of       uuid             CHECK (shadow_of <> id),
    -- What people call the answered place; NULL where it is not known.
    continent       text,
    country_code    text,
    country         text,
    region          text,
    locality        text,
    CONSTRAINT predictions_place CHECK (num_nulls(continent, country_code, country) IN (0, 3)),
    CONSTRAINT predictions_country_code CHECK (country_code ~ '^[A-Z]{2}$')
) PARTITION BY RANGE (id);

CREATE INDEX predictions_release ON predictions (release, id);
CREATE INDEX predictions_photo ON predictions (photo_sha256, id);
CREATE INDEX predictions_created_at ON predictions USING brin (created_at);
CREATE INDEX predictions_client ON predictions (client, id) WHERE client IS NOT NULL;
CREATE INDEX predictions_shadow_of ON predictions (shadow_of) WHERE shadow_of IS NOT NULL;

CREATE TABLE prediction_candidates (
    prediction  uuid             NOT NULL REFERENCES predictions (id) ON DELETE CASCADE,
    rank        bigint           NOT NULL CHECK (rank >= 1),
    token       text             NOT NULL,
    probability double precision NOT NULL,
    latitude    double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude   double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    PRIMARY KEY (prediction, rank)
) PARTITION BY RANGE (prediction);

-- The best geocell of each level.
CREATE TABLE prediction_levels (
    prediction  uuid             NOT NULL REFERENCES predictions (id) ON DELETE CASCADE,
    level       bigint           NOT NULL CHECK (level >= 0),
    token       text             NOT NULL,
    probability double precision NOT NULL,
    latitude    double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude   double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    PRIMARY KEY (prediction, level)
) PARTITION BY RANGE (prediction);

CREATE TABLE ground_truth (
    prediction   uuid             NOT NULL PRIMARY KEY REFERENCES predictions (id) ON DELETE CASCADE,
    latitude     double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude    double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    source       text             NOT NULL,
    created_at   timestamptz      NOT NULL,
    continent    text,
    country_code text,
    country      text,
    region       text,
    locality     text,
    CONSTRAINT ground_truth_place CHECK (num_nulls(continent, country_code, country) IN (0, 3)),
    CONSTRAINT ground_truth_country_code CHECK (country_code ~ '^[A-Z]{2}$')
) PARTITION BY RANGE (prediction);

-- Who did what that cannot be undone; nothing here names a client.
CREATE TABLE audit_log (
    id      uuid        NOT NULL PRIMARY KEY,
    at      timestamptz NOT NULL,
    actor   text,
    action  text        NOT NULL CHECK (action <> ''),
    subject text        NOT NULL CHECK (subject <> ''),
    details jsonb       NOT NULL CHECK (jsonb_typeof(details) = 'object')
);

CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log can only be added to' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();

-- The smallest UUID of version 7 of a moment: where a month begins in ids. Compare ids with it to find predictions by time
-- in the months that can hold them and no others.
CREATE FUNCTION geosurge_id_from(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (left(hex, 8) || '-' || right(hex, 4) || '-7000-8000-000000000000')::uuid
    FROM lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') AS hex
$$;

-- A shadow needs the prediction that it shadows, and goes with it. No foreign key: dropping a month would have to look through
-- all others.
CREATE FUNCTION predictions_shadow_exists() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM predictions WHERE id = NEW.shadow_of AND shadow_of IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'prediction % does not exist, or is a shadow itself', NEW.shadow_of USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER predictions_shadow_exists AFTER INSERT OR UPDATE OF shadow_of ON predictions
    FOR EACH ROW WHEN (NEW.shadow_of IS NOT NULL) EXECUTE FUNCTION predictions_shadow_exists();

CREATE FUNCTION predictions_shadows_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gone WHERE shadow_of IS NULL) THEN
        DELETE FROM predictions WHERE shadow_of IN (SELECT id FROM gone WHERE shadow_of IS NULL);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER predictions_shadows_follow AFTER DELETE ON predictions REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION predictions_shadows_follow();

-- Makes the partitions of the month that holds a moment, in UTC; says whether they were made. Predictions of that month which
-- the default partition took meanwhile are moved into them.
CREATE FUNCTION geosurge_make_month(moment timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    parents  text[]      := ARRAY['predictions', 'prediction_candidates', 'prediction_levels', 'ground_truth'];
    begins   timestamp   := date_trunc('month', moment AT TIME ZONE 'UTC');
    ends     timestamp   := begins + interval '1 month';
    from_id  uuid        := geosurge_id_from(begins AT TIME ZONE 'UTC');
    to_id    uuid        := geosurge_id_from(ends AT TIME ZONE 'UTC');
    suffix   text        := to_char(begins, '"_y"YYYY"m"MM');
    parent   text;
    strays   boolean;
BEGIN
    -- One maker at a time; the lock goes with the transaction.
    PERFORM pg_advisory_xact_lock(hashtext('geosurge_make_month'));
    IF to_regclass('predictions' || suffix) IS NOT NULL THEN
        RETURN false;
    END IF;
    SELECT EXISTS (SELECT FROM predictions_other WHERE id >= from_id AND id < to_id) INTO strays;
    IF strays THEN
        LOCK TABLE predictions, prediction_candidates, prediction_levels, ground_truth IN ACCESS EXCLUSIVE MODE;
        FOREACH parent IN ARRAY parents LOOP
            EXECUTE format('CREATE TEMPORARY TABLE %I ON COMMIT DROP AS SELECT * FROM %I WHERE %I >= %L AND %I < %L',
                           'strays_' || parent, parent || '_other',
                           CASE parent WHEN 'predictions' THEN 'id' ELSE 'prediction' END, from_id,
                           CASE parent WHEN 'predictions' THEN 'id' ELSE 'prediction' END, to_id);
        END LOOP;
        -- Named directly, so that shadows in other months stay; candidates, levels and ground truth go along.
        DELETE FROM predictions_other WHERE id >= from_id AND id < to_id;
        -- Checks that wait for the end of the statement would keep the tables from being changed.
        SET CONSTRAINTS ALL IMMEDIATE;
    END IF;
    FOREACH parent IN ARRAY parents LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                       parent || suffix, parent, from_id, to_id);
    END LOOP;
    -- Lets the planner leave a month out where created_at is compared with constants.
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I CHECK (created_at >= %L AND created_at < %L)',
                   'predictions' || suffix, 'predictions' || suffix || '_created_at',
                   (begins - interval '1 hour') AT TIME ZONE 'UTC', (ends + interval '1 hour') AT TIME ZONE 'UTC');
    IF strays THEN
        FOREACH parent IN ARRAY parents LOOP
            EXECUTE format('INSERT INTO %I SELECT * FROM %I', parent, 'strays_' || parent);
            EXECUTE format('DROP TABLE pg_temp.%I', 'strays_' || parent);
        END LOOP;
    END IF;
    RETURN true;
END
$$;

-- What no month's partition takes is kept here, and reported by `geosurge migrate`.
CREATE TABLE predictions_other PARTITION OF predictions DEFAULT;
CREATE TABLE prediction_candidates_other PARTITION OF prediction_candidates DEFAULT;
CREATE TABLE prediction_levels_other PARTITION OF prediction_levels DEFAULT;
CREATE TABLE ground_truth_other PARTITION OF ground_truth DEFAULT;
