-- Who has the lease of a tenant's training, how often it failed in a row and when it is tried again, and who looks for drift now.
ALTER TABLE ml_trainings
    ADD COLUMN holder text NOT NULL DEFAULT '',
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN retry_at timestamptz,
    ADD COLUMN watch_leased_until timestamptz;
