-- name: record_events
-- Events that are new, folded into their users' rollups. A repeat meets its own id, and a user who is gone has no row to join.
WITH fresh AS (
    INSERT INTO user_events (event_id, tenant_id, user_id, event, at, properties)
    SELECT t.event_id, t.tenant_id, t.user_id, t.event, to_timestamp(t.at_ms / 1000.0), t.properties
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::bigint[], $6::bytea[])
         AS t (event_id, tenant_id, user_id, event, at_ms, properties)
    JOIN user_profiles p ON p.user_id = t.user_id AND p.tenant_id = t.tenant_id
    ORDER BY t.event_id
    ON CONFLICT (event_id) DO NOTHING
    RETURNING event_id, tenant_id, user_id, event, at
), folded AS (
    INSERT INTO event_rollups AS r (tenant_id, event, user_id, count, first_at, last_at)
    SELECT tenant_id, event, user_id, count(*), min(at), max(at) FROM fresh
    GROUP BY tenant_id, event, user_id
    ORDER BY tenant_id, event, user_id -- one order for everybody: two batches cannot wait for each other
    ON CONFLICT (tenant_id, event, user_id) DO UPDATE
    SET count = r.count + excluded.count, first_at = least(r.first_at, excluded.first_at),
        last_at = greatest(r.last_at, excluded.last_at)
)
SELECT event_id FROM fresh

-- name: drop_old_events
-- Events beyond their time, some at once. What they were folded into stays.
DELETE FROM user_events WHERE event_id = ANY(ARRAY(
    SELECT event_id FROM user_events WHERE received_at < now() - $1::int * interval '1 day' LIMIT $2))

-- name: read_properties
-- What is sealed of some events.
SELECT event_id, properties FROM user_events WHERE event_id = ANY($1::uuid[]) AND properties <> ''
