-- name: find_tenant
-- The tenant of this id and name, held: of two who delete it one comes first.
SELECT true FROM tenant_settings WHERE tenant_id = $1 AND name = $2 FOR UPDATE

-- name: note_deletion
-- From now on what is left of it may be removed. Asked again it is the same deletion.
INSERT INTO tenant_deletions (tenant_id, name) VALUES ($1, $2) ON CONFLICT (tenant_id) DO NOTHING

-- name: find_deletion
-- A deletion that was asked for.
SELECT tenant_id, name, asked_at, removed FROM tenant_deletions WHERE tenant_id = $1

-- name: end_keys
-- Nobody can act for it any more.
DELETE FROM api_keys WHERE tenant_id = $1

-- name: end_issuers
-- Nor with tokens.
DELETE FROM token_issuers WHERE tenant_id = $1

-- name: end_members
-- Nor as a member.
DELETE FROM members WHERE tenant_id = $1

-- name: end_providers
-- Nothing of it can be sent any more.
DELETE FROM providers WHERE tenant_id = $1

-- name: end_config
-- Whoever takes work of it reads its settings anew, and finds no account.
UPDATE tenant_settings SET config_version = config_version + 1 WHERE tenant_id = $1

-- name: under_way
-- What is still to be removed.
SELECT tenant_id, name, asked_at, removed FROM tenant_deletions WHERE finished_at IS NULL ORDER BY asked_at

-- name: users
-- Some of its users.
SELECT user_id, external_id FROM user_profiles WHERE tenant_id = $1 LIMIT $2

-- name: remove_users
-- Their profiles.
DELETE FROM user_profiles WHERE user_id = ANY($1)

-- name: tables
-- Where rows of tenants are, the users' profiles apart: what stands elsewhere of a user goes before them.
SELECT t::text AS name FROM tenant_tables() t WHERE t <> 'user_profiles'::regclass

-- name: remove_rows
-- A portion of one table.
SELECT delete_tenant_rows($1, $2::text::regclass, $3)

-- name: note_removed
-- How far it is.
UPDATE tenant_deletions SET removed = removed + $2 WHERE tenant_id = $1

-- name: finish
-- It is gone, and so is its name here.
UPDATE tenant_deletions SET finished_at = now(), name = '' WHERE tenant_id = $1

-- name: remove_settings
-- The last that there was of it.
DELETE FROM tenant_settings WHERE tenant_id = $1
