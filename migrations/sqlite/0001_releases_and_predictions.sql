-- Times are RFC 3339 in UTC with microseconds, so that text order is time order. Places are degrees.

CREATE TABLE releases (
    id                  TEXT    NOT NULL PRIMARY KEY,
    status              TEXT    NOT NULL CHECK (status IN ('building', 'ready', 'active', 'retired', 'failed')),
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

-- At most one release is active, whoever writes.
CREATE UNIQUE INDEX releases_one_active ON releases (status) WHERE status = 'active';

-- Grows by one with every change of a release; services poll it.
CREATE TABLE release_changes (
    only    INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    changes INTEGER NOT NULL
) STRICT;

INSERT INTO release_changes (only, changes) VALUES (1, 0);

CREATE TRIGGER releases_inserted AFTER INSERT ON releases
BEGIN
    UPDATE release_changes SET changes = changes + 1;
END;

CREATE TRIGGER releases_status_changed AFTER UPDATE OF status ON releases WHEN OLD.status <> NEW.status
BEGIN
    UPDATE release_changes SET changes = changes + 1;
END;

-- One row a geocell and level: a cell that was not split belongs to several levels.
CREATE TABLE geocells (
    release      TEXT    NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
    level        INTEGER NOT NULL CHECK (level >= 0),
    position     INTEGER NOT NULL CHECK (position >= 0),
    token        TEXT    NOT NULL,
    parent_token TEXT,
    photos       INTEGER NOT NULL CHECK (photos >= 0),
    latitude     REAL    NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude    REAL    NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    PRIMARY KEY (release, level, position)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX geocells_token ON geocells (release, token, level);

CREATE TABLE reference_images (
    release     TEXT NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
    id          TEXT NOT NULL,
    path        TEXT NOT NULL,
    latitude    REAL NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude   REAL NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    token       TEXT,
    sha256      TEXT NOT NULL,
    captured_at TEXT,
    uploader    TEXT,
    PRIMARY KEY (release, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE predictions (
    id                 TEXT NOT NULL PRIMARY KEY,
    release            TEXT NOT NULL REFERENCES releases (id),
    created_at         TEXT NOT NULL,
    photo_sha256       TEXT NOT NULL,
    file_name          TEXT,
    latitude           REAL NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude          REAL NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    confidence         REAL NOT NULL,
    -- Probability by distance: {"1": …, "25": …, "200": …, "750": …, "2500": …} (km).
    within             TEXT NOT NULL CHECK (json_valid(within)),
    entropy            REAL NOT NULL,
    cannot_tell        TEXT,
    -- {"probability": …, "geocells": [token, …], "area_km2": …}
    credible_region    TEXT NOT NULL CHECK (json_valid(credible_region)),
    -- [{"id": …, "similarity": …}, …], most similar first.
    "references"       TEXT NOT NULL CHECK (json_valid("references")),
    -- Milliseconds by stage.
    timings            TEXT NOT NULL CHECK (json_valid(timings)),
    client             TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX predictions_release ON predictions (release, id);
CREATE INDEX predictions_photo ON predictions (photo_sha256, id);

CREATE TABLE prediction_candidates (
    prediction  TEXT    NOT NULL REFERENCES predictions (id) ON DELETE CASCADE,
    rank        INTEGER NOT NULL CHECK (rank >= 1),
    token       TEXT    NOT NULL,
    probability REAL    NOT NULL,
    latitude    REAL    NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude   REAL    NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    PRIMARY KEY (prediction, rank)
) STRICT, WITHOUT ROWID;

CREATE TABLE ground_truth (
    prediction TEXT NOT NULL PRIMARY KEY REFERENCES predictions (id) ON DELETE CASCADE,
    latitude   REAL NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude  REAL NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    source     TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
