-- name: outcomes
-- By user, how many messages that had a choice were sent to her in a span ($2 to $3), and how many of them she answered soon ($4 ms).
-- Of users whose holdout did not change in it.
SELECT m.user_id, count(*) AS sent, count(*) FILTER (WHERE m.answered) AS answered, min(m.holdout) AS holdout
FROM (
    SELECT n.user_id, n.notification_id,
           min((n.decision -> 'decision' ->> 'holdout')::int) AS holdout,
           bool_or(coalesce(n.engaged_at >= n.sent_at AND n.engaged_at < n.sent_at + $4::bigint * interval '1 ms', false)) AS answered
    FROM notifications n
    -- What is sent now was decided three days ago at most, and may have been tried for some days more.
    WHERE n.tenant_id = $1 AND n.sent_at >= $2 AND n.sent_at < $3 AND NOT n.is_test
          AND n.created_at >= $2 - interval '14 days' AND n.created_at < $3
          AND n.decision ->> 'category_class' <> 'transactional' AND n.decision -> 'decision' ? 'holdout'
    GROUP BY n.user_id, n.notification_id
) m
GROUP BY m.user_id
HAVING min(m.holdout) = max(m.holdout)
ORDER BY m.user_id

-- name: begin
-- When the first user of a tenant was held out, as it was found the first time that somebody looked; null: none is yet.
UPDATE ml_proof_turns SET held_out_from = coalesce(held_out_from, (
    SELECT min(n.created_at) FROM notifications n WHERE n.tenant_id = $1 AND NOT n.is_test AND n.decision -> 'decision' ->> 'holdout' <> '0'))
WHERE tenant_id = $1 RETURNING held_out_from

-- name: answers
-- By user, how many messages were decided in a span ($2 to $3) and sent to her by now, and how many of them she answered soon ($4 ms).
SELECT m.user_id, count(*) AS sent, count(*) FILTER (WHERE m.answered) AS answered
FROM (
    SELECT n.user_id, n.notification_id,
           bool_or(coalesce(n.engaged_at >= n.sent_at AND n.engaged_at < n.sent_at + $4::bigint * interval '1 ms', false)) AS answered
    FROM notifications n
    WHERE n.tenant_id = $1 AND n.created_at >= $2 AND n.created_at < $3 AND n.sent_at IS NOT NULL AND NOT n.is_test
          AND n.decision ->> 'category_class' <> 'transactional'
    GROUP BY n.user_id, n.notification_id
) m
GROUP BY m.user_id
ORDER BY m.user_id

-- name: decisions
-- The latest $5 messages of a span ($2 to $3) that might have tried something, of users who are not held out, and whether each was answered
-- within $4 ms, by itself or by what was sent after it in its place. What was decided before odds were kept has no `tried`, not even null.
SELECT m.user_id, (m.made ->> 'propensity')::float8 AS propensity, (m.made ->> 'explored')::boolean AS explored,
       coalesce((m.made -> 'scores' ->> (m.made -> 'choices' -> 0 ->> 'channel')::int)::float8, 0) AS score,
       (m.made -> 'choices' -> 0 ->> 'channel')::int AS channel, m.made ->> 'tried' AS tried,
       m.notification_id IN (
           SELECT a.notification_id FROM notifications a
           WHERE a.tenant_id = $1 AND a.sent_at >= $2 AND NOT a.is_test
                 AND a.engaged_at >= a.sent_at AND a.engaged_at < a.sent_at + $4::bigint * interval '1 ms'
                 AND a.created_at >= $2 - interval '14 days'
       ) AS answered
FROM (
    SELECT n.user_id, n.notification_id, n.decision -> 'decision' AS made
    FROM notifications n
    WHERE n.tenant_id = $1 AND n.sent_at >= $2 AND n.sent_at < $3 AND NOT n.is_test
          AND n.created_at >= $2 - interval '14 days' AND n.created_at < $3
          AND n.decision -> 'decision' ->> 'policy' LIKE 'epsilon-%' AND n.decision -> 'decision' ->> 'holdout' = '0'
          AND jsonb_array_length(n.decision -> 'decision' -> 'choices') > 0
          AND (n.decision -> 'decision' ->> 'explored')::boolean = (jsonb_typeof(n.decision -> 'decision' -> 'tried') = 'array')
    ORDER BY n.sent_at DESC LIMIT $5
) m

-- name: keep_policies
-- What other policies would bring, over what was found last.
INSERT INTO ml_estimates (tenant_id, from_at, to_at, report) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id) DO UPDATE SET from_at = excluded.from_at, to_at = excluded.to_at, report = excluded.report

-- name: policies
-- What other policies would bring, as it was found last.
SELECT from_at, to_at, report FROM ml_estimates WHERE tenant_id = $1

-- name: latest
-- The latest proof of each feature of a tenant.
SELECT feature, from_at, to_at, lift, returned FROM ml_proofs WHERE tenant_id = $1 ORDER BY feature

-- name: since
-- When a feature of a tenant was last returned to its baseline.
SELECT max(returned_at) FROM ml_proofs WHERE tenant_id = $1

-- name: keep
-- What was found last; when it was last returned stays known.
INSERT INTO ml_proofs AS p (tenant_id, feature, from_at, to_at, lift, returned, returned_at)
SELECT $1, f.feature, $2, $3, f.lift, f.returned, CASE WHEN f.returned THEN clock_timestamp() END
FROM unnest($4::text[], $5::jsonb[], $6::boolean[]) AS f (feature, lift, returned)
ON CONFLICT (tenant_id, feature) DO UPDATE
SET from_at = excluded.from_at, to_at = excluded.to_at, lift = excluded.lift, returned = excluded.returned,
    returned_at = coalesce(excluded.returned_at, p.returned_at)

-- name: take
-- A tenant at whom nobody looked for a while ($2 ms). Nobody else takes it for $3 ms: after that it is due again, unless it was done.
INSERT INTO ml_proof_turns AS t (tenant_id, taken_at) VALUES ($1, clock_timestamp() - ($2::bigint - $3::bigint) * interval '1 ms')
ON CONFLICT (tenant_id) DO UPDATE SET taken_at = excluded.taken_at
WHERE t.taken_at < clock_timestamp() - $2::bigint * interval '1 ms'
RETURNING true

-- name: end
-- It was looked at.
UPDATE ml_proof_turns SET taken_at = clock_timestamp() WHERE tenant_id = $1

-- name: due
-- At which of these tenants nobody looked for a while, in one look: `take` decides who has them.
SELECT d.tenant_id FROM unnest($1::uuid[]) WITH ORDINALITY AS d (tenant_id, place)
LEFT JOIN ml_proof_turns t USING (tenant_id)
WHERE t.taken_at IS NULL OR t.taken_at < clock_timestamp() - $2::bigint * interval '1 ms'
ORDER BY d.place
