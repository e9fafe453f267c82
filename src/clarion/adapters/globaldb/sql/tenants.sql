-- name: register_tenant
-- Take a name, once in the world. Of two at once one wins; the other finds its row with find_tenant.
INSERT INTO tenants (tenant_id, name, home_region) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING

-- name: find_tenant
-- Who has this name.
SELECT tenant_id, home_region FROM tenants WHERE name = $1
