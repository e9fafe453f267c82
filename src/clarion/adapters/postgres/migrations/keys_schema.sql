-- The subject_keys database: one wrapped data key a user, apart from the data it opens, with short backups: destroying the row erases the user.
CREATE TABLE IF NOT EXISTS subject_keys (
    user_id    bigint      PRIMARY KEY,
    wrapped    bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON subject_keys TO clarion_pipeline;

-- Tenants' keys, wrapped by the key service. Destroyed ones stay as a mark without a key: such a tenant gets none again.
CREATE TABLE IF NOT EXISTS tenant_keys (
    tenant_id  bytea       NOT NULL,
    number     integer     NOT NULL,
    wrapped    bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, number)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_keys TO clarion_pipeline;

-- What the region itself derives keys from ('root'), wrapped by the master key.
CREATE TABLE IF NOT EXISTS region_keys (
    name       text        PRIMARY KEY,
    wrapped    bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE ON region_keys TO clarion_pipeline;
