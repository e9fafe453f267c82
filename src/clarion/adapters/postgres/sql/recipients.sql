-- name: read_recipient
-- Who a link's reader is: its user, where she is still there and still of its tenant.
SELECT external_id, preferences, language FROM user_profiles WHERE tenant_id = $1 AND user_id = $2

-- name: write_preferences
-- What she switched off, as she says it now; the version moves, so that no older card comes back.
UPDATE user_profiles SET preferences = $3, version = version + 1, updated_at = now() WHERE tenant_id = $1 AND user_id = $2
