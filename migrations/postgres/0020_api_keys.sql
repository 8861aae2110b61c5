-- Who may use the service. Of a key only its SHA-256 is kept.
CREATE TABLE api_keys (
    id                  uuid             NOT NULL PRIMARY KEY,
    name                text             NOT NULL CHECK (name <> ''),
    sha256              text             NOT NULL UNIQUE CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    scope               text             NOT NULL CHECK (scope IN ('reader', 'analyst', 'contributor', 'admin')),
    requests_per_minute integer          CHECK (requests_per_minute > 0),
    coarsen_km          double precision CHECK (coarsen_km > 0),
    created_at          timestamptz      NOT NULL,
    last_used_at        timestamptz,
    revoked_at          timestamptz
);
