-- name: list_providers
-- The sealed credentials of a tenant's accounts.
SELECT name, credentials AS sealed FROM providers WHERE tenant_id = $1 AND credentials <> '' ORDER BY name

-- name: replace_providers
-- The same credentials sealed anew: neither the account's version nor the configuration's moves.
UPDATE providers SET credentials = $4 WHERE tenant_id = $1 AND name = $2 AND credentials = $3 RETURNING true

-- name: list_token_issuers
-- The sealed key sets of a tenant's token issuers.
SELECT name, sealed_keys AS sealed FROM token_issuers WHERE tenant_id = $1 AND sealed_keys <> '' ORDER BY name

-- name: replace_token_issuers
-- The same key set sealed anew.
UPDATE token_issuers SET sealed_keys = $4 WHERE tenant_id = $1 AND name = $2 AND sealed_keys = $3 RETURNING true
