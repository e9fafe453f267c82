-- name: read_records
-- The records of users.
SELECT user_id, record FROM feature_records WHERE user_id = ANY ($1::bigint[])

-- name: page_records
-- Some records in the order of the users' numbers.
SELECT user_id, record FROM feature_records WHERE user_id > $1 ORDER BY user_id LIMIT $2

-- name: keep_records
-- Records, and what profiles say of them. Who has no profile (any more) gets no record. A profile's row is held until the
-- record is there, so that an erasure, which begins with the profile, finds it.
WITH given AS (
    SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::timestamptz[], $6::jsonb[], $7::jsonb[], $8::jsonb[], $9::jsonb[])
        AS t (user_id, sequence, record, as_of, ml_features, engagement_scores, optimal_send_times, segment_memberships)
), held AS (
    SELECT p.user_id FROM user_profiles p JOIN given g USING (user_id)
    WHERE p.tenant_id = $1 ORDER BY p.user_id FOR NO KEY UPDATE OF p
), painted AS (
    UPDATE user_profiles p
    SET ml_features = g.ml_features, engagement_scores = g.engagement_scores,
        optimal_send_times = g.optimal_send_times, segment_memberships = g.segment_memberships
    FROM given g JOIN held USING (user_id)
    WHERE p.user_id = g.user_id
    RETURNING p.user_id
)
INSERT INTO feature_records AS f (user_id, tenant_id, sequence, record, as_of)
SELECT g.user_id, $1, g.sequence, g.record, g.as_of FROM given g JOIN painted USING (user_id) ORDER BY g.user_id
ON CONFLICT (user_id) DO UPDATE
SET sequence = excluded.sequence, record = excluded.record, as_of = excluded.as_of, painted_at = now()
-- Another process may have archived a later one meanwhile. One of another layout (the first two bytes) is none.
WHERE excluded.sequence >= f.sequence OR substr(excluded.record, 1, 2) <> substr(f.record, 1, 2)

-- name: unpainted
-- Some users whose profiles were told longest ago what their records mean.
SELECT tenant_id, user_id FROM feature_records WHERE painted_at < $1 ORDER BY painted_at LIMIT $2

-- name: drop_old_records
-- Records of users of whom nothing was heard for as long as the store keeps them, some at once.
DELETE FROM feature_records WHERE user_id = ANY (ARRAY(
    SELECT user_id FROM feature_records WHERE as_of < now() - $1::int * interval '1 day' LIMIT $2))

-- name: find_homes
-- By whose clocks users live.
SELECT p.user_id, p.tenant_id, p.timezone, p.country, t.timezone AS tenant_timezone, t.country AS tenant_country
FROM user_profiles p JOIN tenant_settings t ON t.tenant_id = p.tenant_id
WHERE p.user_id = ANY ($1::bigint[])

-- name: tell_history
-- What happened to a tenant's users, in the order of time: sends (0), opens (1) and clicks (2), refusals (4), and what they did of their
-- own accord (5), as `SignKind` numbers them. Of an SMS an engagement is a click. `ident`: of the delivery or the event; `class`: of the
-- category of a message.
SELECT h.user_id, h.kind, h.channel, h.at, h.ident, h.class, p.tenant_id, p.timezone, p.country, t.timezone AS tenant_timezone, t.country AS tenant_country
FROM (
    SELECT n.user_id, k.kind, n.channel, k.at, n.global_id AS ident, n.decision ->> 'category_class' AS class
    FROM notifications n CROSS JOIN LATERAL (VALUES
        (0, n.sent_at), (1, n.engaged_at), (2, CASE WHEN n.channel = 'sms' THEN n.engaged_at END),
        (4, (SELECT min(to_timestamp((e ->> 'at_ms')::bigint / 1000.0)) FROM jsonb_array_elements(n.attempt_log) e
             WHERE e ->> 'outcome' IN ('complained', 'unsubscribed')))) AS k (kind, at)
    WHERE n.tenant_id = $1 AND n.created_at < $3 AND NOT n.is_test AND k.at >= $2 AND k.at < $3
    UNION ALL
    SELECT u.user_id, 5, '', u.at, u.event_id, NULL FROM user_events u WHERE u.tenant_id = $1 AND u.at >= $2 AND u.at < $3
    UNION ALL
    -- Of one press of a button there is a word for each channel and category.
    SELECT c.user_id, 4, c.channel, c.recorded_at, lpad(to_hex(min(c.event_id)), 32, '0')::uuid, NULL FROM consent_events c
    WHERE c.tenant_id = $1 AND NOT c.consented AND c.source IN ('one_click', 'unsubscribe_page', 'preference_page')
          AND c.recorded_at >= $2 AND c.recorded_at < $3
    GROUP BY c.user_id, c.channel, c.recorded_at
) h
JOIN user_profiles p ON p.user_id = h.user_id AND p.tenant_id = $1
JOIN tenant_settings t ON t.tenant_id = $1
ORDER BY h.at, h.user_id, h.kind

-- name: tell_of_users
-- The same of some users, of any tenants, in any order.
SELECT h.user_id, h.kind, h.channel, h.at, h.ident, h.class, p.tenant_id, p.timezone, p.country, t.timezone AS tenant_timezone, t.country AS tenant_country
FROM user_profiles p
JOIN tenant_settings t ON t.tenant_id = p.tenant_id
CROSS JOIN LATERAL (
    SELECT n.user_id, k.kind, n.channel, k.at, n.global_id AS ident, n.decision ->> 'category_class' AS class
    FROM notifications n CROSS JOIN LATERAL (VALUES
        (0, n.sent_at), (1, n.engaged_at), (2, CASE WHEN n.channel = 'sms' THEN n.engaged_at END),
        (4, (SELECT min(to_timestamp((e ->> 'at_ms')::bigint / 1000.0)) FROM jsonb_array_elements(n.attempt_log) e
             WHERE e ->> 'outcome' IN ('complained', 'unsubscribed')))) AS k (kind, at)
    WHERE n.tenant_id = p.tenant_id AND n.user_id = p.user_id AND n.created_at < $2 AND NOT n.is_test AND k.at < $2
    UNION ALL
    SELECT u.user_id, 5, '', u.at, u.event_id, NULL FROM user_events u WHERE u.user_id = p.user_id AND u.at < $2
    UNION ALL
    SELECT c.user_id, 4, c.channel, c.recorded_at, lpad(to_hex(min(c.event_id)), 32, '0')::uuid, NULL FROM consent_events c
    WHERE c.user_id = p.user_id AND NOT c.consented AND c.source IN ('one_click', 'unsubscribe_page', 'preference_page')
          AND c.recorded_at < $2
    GROUP BY c.user_id, c.channel, c.recorded_at
) h
WHERE p.user_id = ANY ($1::bigint[])

-- name: unrecorded
-- Users of a tenant (null: of any) after a number, who have no record: some, in the order of their numbers.
SELECT p.user_id, p.tenant_id FROM user_profiles p
WHERE ($1::uuid IS NULL OR p.tenant_id = $1) AND p.user_id > $2
      AND ($4::boolean OR NOT EXISTS (SELECT FROM feature_records f WHERE f.user_id = p.user_id))
ORDER BY p.user_id LIMIT $3
