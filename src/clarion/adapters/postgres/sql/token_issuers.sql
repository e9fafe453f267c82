-- name: find_issuers
-- Everything that is set up under an `iss`, of all tenants: asked before any tenant is known.
SELECT tenant_id, name, issuer, audience, environment, algorithms, scopes, jwks_url, sealed_keys, role_claim, member_claim FROM token_issuers WHERE issuer = $1
ORDER BY tenant_id, name

-- name: lock_tenant
-- One change of a tenant's issuers at a time.
SELECT true FROM tenant_settings WHERE tenant_id = $1 FOR UPDATE

-- name: count_others
-- How many issuers the tenant has beside this one.
SELECT count(*) FROM token_issuers WHERE tenant_id = $1 AND name <> $2

-- name: put_issuer
-- An issuer as it shall be; whether it is new. Nothing where another one has its issuer and audience.
INSERT INTO token_issuers (tenant_id, name, issuer, audience, environment, algorithms, scopes, jwks_url, sealed_keys, role_claim, member_claim)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
WHERE NOT EXISTS (SELECT FROM token_issuers WHERE issuer = $3 AND audience = $4 AND (tenant_id, name) <> ($1, $2))
ON CONFLICT (tenant_id, name) DO UPDATE
SET issuer = excluded.issuer, audience = excluded.audience, environment = excluded.environment, algorithms = excluded.algorithms,
    scopes = excluded.scopes, jwks_url = excluded.jwks_url, sealed_keys = excluded.sealed_keys, role_claim = excluded.role_claim,
    member_claim = excluded.member_claim, updated_at = now()
RETURNING xmax = 0 AS is_new

-- name: list_issuers
-- A tenant's issuers; row-level security keeps them to the tenant of the transaction.
SELECT tenant_id, name, issuer, audience, environment, algorithms, scopes, jwks_url, sealed_keys, role_claim, member_claim FROM token_issuers ORDER BY name

-- name: delete_issuer
-- Its tokens are worth nothing from now on.
DELETE FROM token_issuers WHERE tenant_id = $1 AND name = $2 RETURNING true
