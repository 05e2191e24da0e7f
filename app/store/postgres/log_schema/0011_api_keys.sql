-- Keys of the API. digest: SHA-256 of a key, which itself is kept nowhere; hint: its last
-- characters. scopes: as they were given, with commas between. Revoked ones stay, to be shown.
CREATE TABLE api_keys (
    key_id      text COLLATE "C" PRIMARY KEY,
    name        text    NOT NULL,
    scopes      text    NOT NULL,
    digest      bytea   NOT NULL UNIQUE,
    hint        text    NOT NULL,
    created_ms  bigint  NOT NULL,
    expires_ms  bigint,
    last_used_ms bigint,
    revoked_ms  bigint
);
