-- Keys of the API. digest: SHA-256 of a key, which itself is kept nowhere; hint: its last
-- characters. scopes: as they were given, with commas between. Revoked ones stay, to be shown.
CREATE TABLE api_keys (
    key_id      TEXT    PRIMARY KEY,
    name        TEXT    NOT NULL,
    scopes      TEXT    NOT NULL,
    digest      BLOB    NOT NULL UNIQUE,
    hint        TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    expires_ms  INTEGER,
    last_used_ms INTEGER,
    revoked_ms  INTEGER
) STRICT, WITHOUT ROWID;
