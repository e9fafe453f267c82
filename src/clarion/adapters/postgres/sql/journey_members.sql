-- name: find_strangers
-- Those of the users whom a journey did not see in its segment.
SELECT t.user_id FROM unnest($3::bigint[]) AS t (user_id)
WHERE NOT EXISTS (SELECT FROM journey_members m WHERE m.journey_id = $1 AND m.segment = $2 AND m.user_id = t.user_id)

-- name: drop_others
-- Of users between two numbers, forget those who are not there any more.
DELETE FROM journey_members
WHERE journey_id = $1 AND segment = $2 AND user_id > $3 AND user_id <= $4 AND NOT user_id = ANY($5::bigint[])

-- name: add_members
-- Users who are there, as far as they are still users.
INSERT INTO journey_members (journey_id, segment, user_id, tenant_id)
SELECT $1, $2, p.user_id, p.tenant_id FROM user_profiles p WHERE p.tenant_id = $4 AND p.user_id = ANY($3::bigint[])
ON CONFLICT DO NOTHING
