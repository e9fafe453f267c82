-- name: lock_tenant
-- One change of a tenant's members at a time: two owners cannot both leave because the other one stays.
SELECT true FROM tenant_settings WHERE tenant_id = $1 FOR UPDATE

-- name: find_member
-- A member of a tenant, whatever her status.
SELECT member_id, email, role, status, created_at, invited_until FROM members WHERE tenant_id = $1 AND member_id = $2

-- name: list_members
-- A tenant's members by e-mail; row-level security keeps them to the tenant of the transaction.
SELECT member_id, email, role, status, created_at, invited_until FROM members ORDER BY email

-- name: invite
-- A new member, or a new invitation to one who has not accepted yet. Nothing where she is a member already.
INSERT INTO members (member_id, tenant_id, email, role, status, invitation, invited_until)
VALUES (gen_random_uuid(), $1, $2, $3, 'invited', $4, now() + make_interval(secs => $5))
ON CONFLICT (tenant_id, email) DO UPDATE
SET role = excluded.role, invitation = excluded.invitation, invited_until = excluded.invited_until WHERE members.status = 'invited'
RETURNING member_id, email, role, status, created_at, invited_until

-- name: find_invitation
-- Who is invited with a token, by its hash: asked before any tenant is known.
SELECT tenant_id, member_id, email, role, status, created_at, invited_until FROM members
WHERE invitation = $1 AND status = 'invited' AND invited_until > now()

-- name: accept
-- The invited becomes a member; once.
UPDATE members SET status = 'active', invitation = NULL, invited_until = NULL
WHERE invitation = $1 AND status = 'invited' AND invited_until > now()
RETURNING member_id

-- name: insert_key
-- Her first key, by its hash.
INSERT INTO api_keys (key_id, tenant_id, environment, key_hash, last_four, name, scopes, member_id)
VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7)

-- name: other_owners
-- Owners beside this one who can act.
SELECT count(*) FROM members WHERE tenant_id = $1 AND member_id <> $2 AND role = 'owner' AND status = 'active'

-- name: update_member
-- Another role or status.
UPDATE members SET role = $3, status = $4 WHERE tenant_id = $1 AND member_id = $2
RETURNING member_id, email, role, status, created_at, invited_until

-- name: remove_member
-- She is none any more.
DELETE FROM members WHERE tenant_id = $1 AND member_id = $2

-- name: revoke_keys
-- Nobody has her keys any more.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE tenant_id = $1 AND member_id = $2

-- name: find_active
-- An active member by her e-mail.
SELECT member_id, role FROM members WHERE tenant_id = $1 AND email = $2 AND status = 'active'
