-- name: find_key
-- Who holds a key, by its hash: asked before any tenant is known. Expiry is by this clock. A member's works while she is active.
SELECT k.tenant_id, k.key_id, k.environment, k.scopes, k.role, k.member_id, m.role AS member_role
FROM api_keys k LEFT JOIN members m ON m.member_id = k.member_id AND m.tenant_id = k.tenant_id AND m.status = 'active'
WHERE k.key_hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
  AND (k.member_id IS NULL OR m.member_id IS NOT NULL)

-- name: lock_tenant
-- One change of a tenant's keys or templates at a time.
SELECT true FROM tenant_settings WHERE tenant_id = $1 FOR UPDATE

-- name: count_live_keys
-- Keys of one name that work now.
SELECT count(*) FROM api_keys
WHERE tenant_id = $1 AND environment = $2 AND name = $3 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- name: insert_key
-- A key by its hash.
INSERT INTO api_keys (key_id, tenant_id, environment, key_hash, last_four, name, scopes, expires_at, role, member_id)
VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING key_id

-- name: list_keys
-- A tenant's keys without their hashes, newest first; row-level security keeps them to the tenant of the transaction.
SELECT key_id, name, environment, last_four, scopes, created_at, expires_at, revoked_at, role, member_id FROM api_keys
ORDER BY created_at DESC, key_id

-- name: revoke_key
-- From now on nobody. The first time counts.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE tenant_id = $1 AND key_id = $2 RETURNING true
