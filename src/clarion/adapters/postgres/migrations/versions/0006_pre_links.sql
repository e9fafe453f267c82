-- Links of messages: what is followed (1 clicks, 2 opens) by category, whether anything is by tenant, and the tenant's own host.
ALTER TABLE categories ADD COLUMN tracking smallint NOT NULL DEFAULT 0;
ALTER TABLE tenant_settings ADD COLUMN tracking boolean NOT NULL DEFAULT true;
ALTER TABLE tenant_settings ADD COLUMN public_url text NOT NULL DEFAULT '';
