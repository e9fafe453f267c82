-- name: register_tenant
-- Take a name, once in the world. Of two at once one wins; the other finds its row with find_tenant.
INSERT INTO tenants (tenant_id, name, home_region) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING

-- name: find_tenant
-- Who has this name.
SELECT tenant_id, home_region FROM tenants WHERE name = $1

-- name: release_tenant
-- The name is free again.
DELETE FROM tenants WHERE tenant_id = $1

-- name: forget_accounts
-- How its accounts did, in whatever region.
DELETE FROM provider_health WHERE tenant_id = $1
