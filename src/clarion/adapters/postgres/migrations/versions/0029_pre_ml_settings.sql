-- How a tenant's decisions learn: what is tried, on whom nothing learned is used, and which features are on.
ALTER TABLE tenant_settings ADD COLUMN ml jsonb NOT NULL DEFAULT '{}';
