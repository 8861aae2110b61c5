-- Names of places, shadow answers, answers by level, the audit log, and releases whose contents were deleted.
--
-- Runs with foreign keys off (storage/src/sqlite/migrate.rs): a table cannot be given another CHECK, so `releases` is copied,
-- and dropping the old one must not take its geocells along.

CREATE TABLE releases_next (
    id                  TEXT    NOT NULL PRIMARY KEY,
    status              TEXT    NOT NULL
        CHECK (status IN ('building', 'ready', 'active', 'retired', 'failed', 'pruned')),
    checkpoint_id       TEXT    NOT NULL,
    checkpoint_path     TEXT    NOT NULL,
    embedding_dimension INTEGER NOT NULL CHECK (embedding_dimension > 0),
    levels              INTEGER NOT NULL CHECK (levels > 0),
    dataset_digest      TEXT    NOT NULL,
    store               TEXT    NOT NULL CHECK (json_valid(store)),
    geocells            INTEGER,
    reference_images    INTEGER,
    message             TEXT,
    created_at          TEXT    NOT NULL,
    ready_at            TEXT,
    activated_at        TEXT
) STRICT;

INSERT INTO releases_next
SELECT id, status, checkpoint_id, checkpoint_path, embedding_dimension, levels, dataset_digest, store, geocells,
       reference_images, message, created_at, ready_at, activated_at
FROM releases;

DROP TABLE releases;
ALTER TABLE releases_next RENAME TO releases;

-- At most one release is active, whoever writes.
CREATE UNIQUE INDEX releases_one_active ON releases (status) WHERE status = 'active';

CREATE TRIGGER releases_inserted AFTER INSERT ON releases
BEGIN
    UPDATE release_changes SET changes = changes + 1;
END;

CREATE TRIGGER releases_status_changed AFTER UPDATE OF status ON releases WHEN OLD.status <> NEW.status
BEGIN
    UPDATE release_changes SET changes = changes + 1;
END;

-- The life of a release, whoever writes. A failed build goes on as building.
CREATE TRIGGER releases_life BEFORE UPDATE OF status ON releases
WHEN OLD.status <> NEW.status
    AND OLD.status || '>' || NEW.status NOT IN (
        'building>ready', 'ready>active', 'active>retired', 'retired>active', 'failed>building',
        'ready>pruned', 'retired>pruned', 'failed>pruned',
        'building>failed', 'ready>failed', 'active>failed', 'retired>failed')
BEGIN
    SELECT RAISE(ABORT, 'a release of this status cannot become that');
END;

-- What a release has already of files that are added, and which references lie in a geocell.
CREATE INDEX reference_images_sha256 ON reference_images (release, sha256);
CREATE INDEX reference_images_token ON reference_images (release, token);

-- The answer of a candidate release to the photo of a prediction; never given to a client.
ALTER TABLE predictions ADD COLUMN shadow_of TEXT REFERENCES predictions (id) ON DELETE CASCADE;
-- What people call the answered place; NULL where it is not known.
ALTER TABLE predictions ADD COLUMN continent TEXT;
ALTER TABLE predictions ADD COLUMN country_code TEXT
    CHECK (length(country_code) = 2 AND (country_code IS NULL) = (continent IS NULL));
ALTER TABLE predictions ADD COLUMN country TEXT CHECK ((country IS NULL) = (country_code IS NULL));
ALTER TABLE predictions ADD COLUMN region TEXT;
ALTER TABLE predictions ADD COLUMN locality TEXT;

CREATE INDEX predictions_created_at ON predictions (created_at);
CREATE INDEX predictions_client ON predictions (client, id) WHERE client IS NOT NULL;
CREATE INDEX predictions_shadow_of ON predictions (shadow_of) WHERE shadow_of IS NOT NULL;

ALTER TABLE ground_truth ADD COLUMN continent TEXT;
ALTER TABLE ground_truth ADD COLUMN country_code TEXT
    CHECK (length(country_code) = 2 AND (country_code IS NULL) = (continent IS NULL));
ALTER TABLE ground_truth ADD COLUMN country TEXT CHECK ((country IS NULL) = (country_code IS NULL));
ALTER TABLE ground_truth ADD COLUMN region TEXT;
ALTER TABLE ground_truth ADD COLUMN locality TEXT;

-- The best geocell of each level.
CREATE TABLE prediction_levels (
    prediction  TEXT    NOT NULL REFERENCES predictions (id) ON DELETE CASCADE,
    level       INTEGER NOT NULL CHECK (level >= 0),
    token       TEXT    NOT NULL,
    probability REAL    NOT NULL,
    latitude    REAL    NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude   REAL    NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    PRIMARY KEY (prediction, level)
) STRICT, WITHOUT ROWID;

-- Who did what that cannot be undone; nothing here names a client.
CREATE TABLE audit_log (
    id      TEXT NOT NULL PRIMARY KEY,
    at      TEXT NOT NULL,
    actor   TEXT,
    action  TEXT NOT NULL CHECK (action <> ''),
    subject TEXT NOT NULL CHECK (subject <> ''),
    details TEXT NOT NULL CHECK (json_type(details) = 'object')
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log can only be added to');
END;

CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log can only be added to');
END;
