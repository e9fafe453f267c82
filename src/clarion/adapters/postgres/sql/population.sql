-- name: begin_asking
-- Conditions differ too much for one plan, joins over a million users want memory, and nobody waits for longer than this.
SELECT set_config('statement_timeout', '10s', true), set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('work_mem', '64MB', true)

-- name: count_users
SELECT count(*) FROM user_profiles p {joins}
WHERE p.tenant_id = $1 AND {upper}

-- name: page_members
SELECT p.user_id, p.external_id, p.timezone FROM user_profiles p {joins}
WHERE p.tenant_id = $1 AND p.user_id > {after}::bigint AND {upper}
ORDER BY p.user_id LIMIT {limit}::bigint

-- name: page_candidates
SELECT p.user_id, p.external_id, p.timezone, p.language, p.country, p.region, p.preferred_channel, p.reachable, p.created_at,
       p.sealed, p.ml_features, {lower} AS is_sure
FROM user_profiles p {joins}
WHERE p.tenant_id = $1 AND p.user_id > {after}::bigint AND {upper}
ORDER BY p.user_id LIMIT {limit}::bigint

-- name: candidates_among
SELECT p.user_id, p.external_id, p.timezone, p.language, p.country, p.region, p.preferred_channel, p.reachable, p.created_at,
       p.sealed, p.ml_features, {lower} AS is_sure
FROM user_profiles p {joins}
WHERE p.tenant_id = $1 AND p.user_id = ANY({users}::bigint[]) AND {upper}
ORDER BY p.user_id

-- name: fill_members
-- Everybody who meets the condition, as one attempt's members; nothing where the attempt is no longer the one under way.
INSERT INTO segment_members (segment_id, snapshot, user_id, tenant_id)
SELECT s.segment_id, s.taking, p.user_id, p.tenant_id
FROM user_profiles p {joins}
JOIN segments s ON s.segment_id = {segment}::bigint AND s.taking = {snapshot}::bigint
WHERE p.tenant_id = $1 AND {upper}
ON CONFLICT DO NOTHING

-- name: read_tallies
SELECT user_id, event, count, first_at, last_at FROM event_rollups
WHERE tenant_id = $1 AND event = ANY($3::text[]) AND user_id = ANY($2::bigint[])

-- name: read_recent
SELECT user_id, count(*) FROM user_events
WHERE tenant_id = $1 AND event = $3 AND at >= $4 AND user_id = ANY($2::bigint[]) GROUP BY user_id
