-- Who may use the service. Of a key only its SHA-256 is kept.
CREATE TABLE api_keys (
    id                  TEXT    NOT NULL PRIMARY KEY,
    name                TEXT    NOT NULL CHECK (name <> ''),
    sha256              TEXT    NOT NULL UNIQUE CHECK (length(sha256) = 64),
    scope               TEXT    NOT NULL CHECK (scope IN ('reader', 'analyst', 'contributor', 'admin')),
    requests_per_minute INTEGER CHECK (requests_per_minute > 0),
    coarsen_km          REAL    CHECK (coarsen_km > 0),
    created_at          TEXT    NOT NULL,
    last_used_at        TEXT,
    revoked_at          TEXT
) STRICT, WITHOUT ROWID;
