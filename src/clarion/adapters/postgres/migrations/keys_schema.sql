-- The subject_keys database: one wrapped data key a user, apart from the data it opens, with short backups: destroying the row erases the user.
CREATE TABLE IF NOT EXISTS subject_keys (
    user_id    bigint      PRIMARY KEY,
    wrapped    bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON subject_keys TO clarion_pipeline;
