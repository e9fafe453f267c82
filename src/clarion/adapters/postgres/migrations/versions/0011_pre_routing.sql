-- How a tenant wants the accounts of its channels chosen: its policies, by channel. A channel that is absent has the default.
ALTER TABLE tenant_settings ADD COLUMN routing jsonb NOT NULL DEFAULT '{}';
