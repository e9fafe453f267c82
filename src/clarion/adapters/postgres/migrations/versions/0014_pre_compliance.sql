-- How a tenant complies where the law leaves it a choice: who it is, and how it takes a refusal.
ALTER TABLE tenant_settings ADD COLUMN compliance jsonb NOT NULL DEFAULT '{}';
