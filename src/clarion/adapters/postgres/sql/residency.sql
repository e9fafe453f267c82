-- name: read_residency
SELECT residency, country, home_region FROM user_profiles WHERE tenant_id = $1 AND external_id = $2

-- name: ask_residency
UPDATE user_profiles SET residency = $3, updated_at = now() WHERE tenant_id = $1 AND external_id = $2 RETURNING user_id
