-- name: load_jobs
-- Open deliveries with what their notification and their user's row say at this moment.
SELECT o.global_id, o.tenant_id, o.channel, o.priority, o.due_at, o.state, o.lease_epoch, o.attempts, o.provider, o.tried, o.excused,
       coalesce(o.leased_until > now(), false) AS lease_live, o.leased_until,
       n.user_id, n.category, n.template, n.template_version, n.payload, n.personalization, n.expires_at, n.traceparent,
       n.journey_id, n.is_test, u.external_id, u.timezone, u.language, u.country, u.region,
       u.phone_country, u.phone_zones, u.sealed, u.quiet_hours, u.preferences,
       CASE WHEN o.channel = 'push' THEN n.metadata->>'collapse_key' END AS collapse_key,
       v.device_platforms, v.device_tokens, coalesce(ts.config_version, 0) AS config_version
FROM unnest($1::uuid[], $2::timestamptz[]) AS t (global_id, created_at)
JOIN open_deliveries o USING (global_id)
JOIN notifications n ON n.global_id = t.global_id AND n.created_at = t.created_at
LEFT JOIN tenant_settings ts ON ts.tenant_id = o.tenant_id
LEFT JOIN user_profiles u ON u.user_id = n.user_id
CROSS JOIN LATERAL (SELECT array_agg(d.platform ORDER BY d.last_seen DESC) AS device_platforms,
                           array_agg(d.sealed ORDER BY d.last_seen DESC) AS device_tokens
                    FROM user_devices d WHERE o.channel = 'push' AND d.user_id = n.user_id) v

-- name: begin_attempts
-- Commit intents. The epoch is compared, so that of two workers with the same delivery one wins; it moves, so that a late one is refused.
UPDATE open_deliveries o
SET state = 'sending', lease_epoch = o.lease_epoch + 1, provider = t.provider, attempts = o.attempts + 1,
    leased_until = now() + $4 * interval '1 millisecond', visible_at = now() + 2 * $4 * interval '1 millisecond'
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS t (global_id, epoch, provider)
WHERE o.global_id = t.global_id AND o.lease_epoch = t.epoch
RETURNING o.global_id, o.lease_epoch

-- name: close_deliveries
-- Terminal deliveries leave; an old epoch takes nothing with it.
DELETE FROM open_deliveries o
USING unnest($1::uuid[], $2::int[]) AS t (global_id, epoch)
WHERE o.global_id = t.global_id AND o.lease_epoch = t.epoch
RETURNING o.global_id

-- name: reopen_deliveries
-- Deliveries that will be tried again, at their new due time; the providers that had better not be asked again are noted.
UPDATE open_deliveries o
SET state = 'ready', leased_until = NULL, due_at = t.due_at, visible_at = t.due_at + $4 * interval '1 millisecond',
    tried = CASE WHEN t.moves_on AND o.provider <> ALL (o.tried) THEN array_append(o.tried, o.provider) ELSE o.tried END,
    excused = o.excused + t.excused
FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $5::boolean[], $6::int[]) AS t (global_id, epoch, due_at, moves_on, excused)
WHERE o.global_id = t.global_id AND o.lease_epoch = t.epoch
RETURNING o.global_id

-- name: fold_conclusions
-- The outcome on the notification's row. A receipt that beat the response is not overwritten. Of who was erased nothing is said.
UPDATE notifications n
SET status = CASE WHEN n.status IN ('delivered', 'engaged', 'failed') THEN n.status ELSE t.status END,
    provider = coalesce(t.provider, n.provider),
    provider_message_id = CASE WHEN n.erased_at IS NULL THEN coalesce(t.message_id, n.provider_message_id) END,
    provider_cost = CASE WHEN t.attempted = 0 THEN n.provider_cost ELSE coalesce(n.provider_cost, 0) + t.cost / 1000000.0 END,
    attempts = n.attempts + t.attempted,
    attempt_log = CASE WHEN t.entry IS NULL THEN n.attempt_log WHEN n.erased_at IS NOT NULL THEN '[]' ELSE coalesce(n.attempt_log, '[]') || t.entry END,
    consent_snapshot = coalesce(t.consent, n.consent_snapshot),
    sent_at = CASE WHEN t.status = 'sent' THEN now() ELSE n.sent_at END
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::int[], $8::jsonb[], $9::jsonb[])
     AS t (global_id, created_at, status, provider, message_id, cost, attempted, entry, consent)
WHERE n.global_id = t.global_id AND n.created_at = t.created_at

-- name: note_message_ids
-- What providers call these deliveries, for those whose receipts will not name ours.
INSERT INTO provider_message_ids (tenant_id, provider, message_id, global_id)
SELECT n.tenant_id, t.provider, t.message_id, t.global_id
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[]) AS t (global_id, created_at, provider, message_id)
JOIN notifications n ON n.global_id = t.global_id AND n.created_at = t.created_at
ON CONFLICT (tenant_id, provider, message_id) DO NOTHING

-- name: take_overdue
-- Deliveries that nobody took in time and nobody holds. Each is shown less and less often, so that a long queue is not filled twice.
UPDATE open_deliveries o
SET visible_at = now() + greatest(interval '60 seconds', 2 * (now() - o.due_at))
FROM (SELECT global_id FROM open_deliveries
      WHERE visible_at < now() AND (leased_until IS NULL OR leased_until < now())
      LIMIT $1 FOR UPDATE SKIP LOCKED) AS s
WHERE o.global_id = s.global_id
RETURNING o.global_id, o.tenant_id, o.channel, o.priority, o.due_at

-- name: page_open
-- Every open delivery that nobody holds, by key: to rebuild a queue that was lost.
SELECT global_id, tenant_id, channel, priority, due_at
FROM open_deliveries
WHERE global_id > $1 AND (leased_until IS NULL OR leased_until < now())
ORDER BY global_id
LIMIT $2

-- name: ensure_partitions
-- Day partitions for the coming days, made ahead.
SELECT ensure_partitions(3)

-- name: drop_old_message_ids
-- What providers called deliveries that are so old that no receipt moves them any more. In portions.
DELETE FROM provider_message_ids
WHERE ctid IN (SELECT ctid FROM provider_message_ids WHERE noted_at < now() - interval '4 days' LIMIT 10000)

-- name: drop_old_keys
-- Idempotency keys past their 24 hours. In portions, so that no transaction is long.
DELETE FROM idempotency_keys
WHERE ctid IN (SELECT ctid FROM idempotency_keys WHERE created_at < now() - interval '25 hours' LIMIT 10000)
