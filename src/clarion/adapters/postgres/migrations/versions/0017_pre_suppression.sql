-- Where a suppression came from, and whether somebody should look at it; how categories are called where readers choose among them.

ALTER TABLE suppressions ADD COLUMN source text NOT NULL DEFAULT '', ADD COLUMN review boolean NOT NULL DEFAULT false;
ALTER TABLE suppressed_addresses ADD COLUMN source text NOT NULL DEFAULT '', ADD COLUMN review boolean NOT NULL DEFAULT false;

-- They are listed by tenant, newest first.
CREATE INDEX suppressions_by_time ON suppressions (tenant_id, created_at);
CREATE INDEX suppressed_addresses_by_time ON suppressed_addresses (tenant_id, created_at);

-- {language: {"title": …, "description": …}}
ALTER TABLE categories ADD COLUMN words jsonb NOT NULL DEFAULT '{}';

-- Refusals are shown among the suppressions.
CREATE INDEX consent_records_refused ON consent_records (tenant_id, recorded_at) WHERE NOT consented;
