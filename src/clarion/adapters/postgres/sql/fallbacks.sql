-- name: write_chains
-- The chains of new notifications, in the transaction that writes their rows.
INSERT INTO fallbacks (notification_id, created_at, tenant_id, steps, due_at)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::jsonb[], $5::timestamptz[])

-- name: take_chains
-- Chains that are due, which nobody else is given for a while ($2: milliseconds).
UPDATE fallbacks f SET due_at = now() + $2 * interval '1 millisecond'
FROM (SELECT notification_id FROM fallbacks WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) d
WHERE f.notification_id = d.notification_id
RETURNING f.notification_id, f.created_at, f.tenant_id, f.steps, f.step, f.history

-- name: load_legs
-- The deliveries of notifications, by primary key, with what a further one is decided on. due_at: of those that wait, and that nobody sends.
SELECT n.global_id, n.notification_id, n.channel, n.status, n.sent_at, n.ml_send_time,
       CASE WHEN o.state = 'ready' THEN o.due_at END AS due_at,
       n.category, n.priority, n.expires_at, n.is_test, u.external_id, t.channels AS rendered,
       CASE WHEN n.template = '' THEN n.payload END AS data
FROM unnest($1::uuid[], $2::timestamptz[]) AS w (global_id, created_at)
JOIN notifications n ON n.global_id = w.global_id AND n.created_at = w.created_at
LEFT JOIN open_deliveries o ON o.global_id = n.global_id
LEFT JOIN user_profiles u ON u.user_id = n.user_id
LEFT JOIN templates t ON t.tenant_id = n.tenant_id AND t.name = n.template AND t.version = n.template_version
ORDER BY n.global_id

-- name: move_chains
-- Each chain to its next step, if it stands where it stood when that was decided; the others were moved, or cancelled, meanwhile.
UPDATE fallbacks f
SET step = t.step, due_at = t.due_at, state = t.state, history = f.history || t.history
FROM unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::timestamptz[], $5::text[], $6::jsonb[])
     AS t (notification_id, stood, step, due_at, state, history)
WHERE f.notification_id = t.notification_id AND f.step = t.stood AND f.due_at IS NOT NULL
RETURNING f.notification_id

-- name: insert_legs
-- A notification's delivery on a further channel: as its first one, but for what was decided anew.
INSERT INTO notifications (global_id, created_at, notification_id, tenant_id, user_id, category, channel, priority, status, template,
                           template_version, payload, personalization, metadata, decision, journey_id, traceparent, ml_send_time,
                           ml_channel_score, expires_at, is_test)
SELECT t.global_id, n.created_at, n.notification_id, n.tenant_id, n.user_id, n.category, t.channel, n.priority, t.status, n.template,
       n.template_version, n.payload, n.personalization, n.metadata, t.decision, n.journey_id, n.traceparent, t.send_at,
       t.score, n.expires_at, n.is_test
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[], $8::float8[])
     AS t (global_id, model_id, created_at, channel, status, decision, send_at, score)
JOIN notifications n ON n.global_id = t.model_id AND n.created_at = t.created_at
ON CONFLICT DO NOTHING
RETURNING global_id, created_at, notification_id, tenant_id, user_id, category, channel, priority, status, ml_send_time, traceparent, is_test, journey_id

-- name: open_legs
-- What of them waits to be sent.
INSERT INTO open_deliveries (global_id, created_at, tenant_id, due_at, visible_at, priority, channel)
SELECT t.global_id, t.created_at, t.tenant_id, t.due_at, t.due_at + $7 * interval '1 millisecond', t.priority, t.channel
FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::smallint[], $6::text[])
     AS t (global_id, created_at, tenant_id, due_at, priority, channel)

-- name: close_legs
-- Take deliveries that nobody is sending out of the open ones: from here on no worker can begin them.
DELETE FROM open_deliveries WHERE global_id = ANY ($1::uuid[]) AND state = 'ready'
RETURNING global_id, created_at, tenant_id, channel, priority, due_at

-- name: cancel_legs
-- What was taken out is cancelled.
UPDATE notifications n SET status = 'cancelled'
FROM unnest($1::uuid[], $2::timestamptz[]) AS t (global_id, created_at)
WHERE n.global_id = t.global_id AND n.created_at = t.created_at
RETURNING n.global_id, n.notification_id, n.tenant_id, n.user_id, n.category, n.channel, n.traceparent, n.is_test, n.journey_id

-- name: wake_chains
-- A delivery has failed: its notification need not wait for the time of its next channel.
UPDATE fallbacks SET due_at = now() WHERE notification_id = ANY ($1::uuid[]) AND due_at > now()

-- name: drop_old_chains
-- Forget old chains that are over. In portions, so that no transaction is long.
DELETE FROM fallbacks
WHERE ctid IN (SELECT ctid FROM fallbacks WHERE created_at < now() - interval '30 days' AND due_at IS NULL LIMIT 10000)
