-- name: read_deliveries
-- All deliveries of one notification, by primary key: their ids differ from its own in the last four bits only.
SELECT n.global_id, n.notification_id, n.user_id, n.channel, n.category, n.priority, n.template, n.template_version,
       CASE WHEN o.state = 'sending' THEN 'sending' WHEN o.attempts > 0 AND n.status NOT IN ('deferred') THEN 'retrying' ELSE n.status END AS status,
       n.provider, n.provider_cost::text AS provider_cost, n.provider_message_id, greatest(n.attempts, coalesce(o.attempts, 0)) AS attempts,
       n.created_at, n.sent_at, n.delivered_at, n.engaged_at, n.ml_send_time, n.expires_at, n.decision, n.attempt_log, n.consent_snapshot,
       n.metadata, n.journey_id, n.traceparent, n.is_test, o.due_at, o.provider AS sending_via, o.lease_epoch, u.external_id,
       f.steps AS chain_steps, f.step AS chain_step, f.due_at AS chain_due_at, f.state AS chain_state, f.history AS chain_history
FROM notifications n
LEFT JOIN open_deliveries o USING (global_id)
LEFT JOIN user_profiles u ON u.user_id = n.user_id
LEFT JOIN fallbacks f ON f.notification_id = n.notification_id
WHERE n.global_id = ANY ($1::uuid[]) AND n.created_at = $2
ORDER BY n.global_id

-- name: list_by_user
-- A user's deliveries, newest first, from a position on.
SELECT n.global_id, n.notification_id, n.channel, n.category, n.status, n.created_at, n.sent_at, u.external_id, n.is_test
FROM user_profiles u
JOIN notifications n ON n.tenant_id = u.tenant_id AND n.user_id = u.user_id
WHERE u.tenant_id = $1 AND u.external_id = $2 AND ($3::text IS NULL OR n.status = $3)
  AND (n.created_at, n.global_id) < ($4, $5) AND ($7::boolean IS NULL OR n.is_test = $7)
ORDER BY n.created_at DESC, n.global_id DESC
LIMIT $6

-- name: list_by_time
-- A tenant's deliveries between two instants, newest first, from a position on. Ids are in time order: the primary key serves.
SELECT n.global_id, n.notification_id, n.channel, n.category, n.status, n.created_at, n.sent_at, u.external_id, n.is_test
FROM notifications n
LEFT JOIN user_profiles u ON u.user_id = n.user_id
WHERE n.tenant_id = $1 AND n.created_at >= $2 AND ($3::text IS NULL OR n.status = $3)
  AND (n.created_at, n.global_id) < ($4, $5) AND ($7::boolean IS NULL OR n.is_test = $7)
ORDER BY n.created_at DESC, n.global_id DESC
LIMIT $6

-- name: close_ready
-- Take deliveries that nobody is sending out of the open ones: from here on no worker can begin them.
DELETE FROM open_deliveries
WHERE tenant_id = $1 AND global_id = ANY ($2::uuid[]) AND state = 'ready'
RETURNING global_id, channel, priority, due_at

-- name: cancel_chain
-- A cancelled notification goes on to no further channel.
UPDATE fallbacks SET state = 'cancelled', due_at = NULL
WHERE tenant_id = $1 AND notification_id = $2 AND due_at IS NOT NULL

-- name: mark_cancelled
-- What was taken out is cancelled.
UPDATE notifications SET status = 'cancelled'
WHERE global_id = ANY ($1::uuid[]) AND created_at = $2
RETURNING global_id, notification_id, user_id, category, channel, traceparent, is_test, journey_id
