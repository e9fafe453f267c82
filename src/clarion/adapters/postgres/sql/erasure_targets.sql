-- What each part of the regional database gives up of a user. $1: the tenant, $2: her number. Each counts what it removed.

-- name: destroy_key
-- What her key sealed cannot be read again. In the database of the keys.
WITH gone AS (DELETE FROM subject_keys WHERE user_id = $1 RETURNING 1) SELECT count(*) FROM gone

-- name: keep_objections
-- Where she had an address that stays silent, its keyed hash stays silent without her.
WITH kept AS (
    INSERT INTO suppressed_addresses (tenant_id, channel, address_hmac, reason)
    SELECT s.tenant_id, s.channel, h.address_hmac, s.reason
    FROM suppressions s
    JOIN user_profiles p ON p.user_id = s.user_id AND p.tenant_id = s.tenant_id
    CROSS JOIN LATERAL (VALUES ('email', p.email_hmac), ('sms', p.phone_hmac)) AS h (channel, address_hmac)
    WHERE s.tenant_id = $1 AND s.user_id = $2 AND h.channel = s.channel AND h.address_hmac IS NOT NULL
    ON CONFLICT (tenant_id, channel, address_hmac) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM kept

-- name: drop_profile
-- Her profile, with what she chose and what was learnt of her.
WITH gone AS (DELETE FROM user_profiles WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_devices
-- Her devices.
WITH gone AS (DELETE FROM user_devices WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_dead_devices
-- Devices that she had.
WITH gone AS (DELETE FROM dead_devices WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_suppressions
-- That she is not written to: nobody can be, without a profile.
WITH gone AS (DELETE FROM suppressions WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_consent
-- What she wants at present. What she said stays in the chain of words, as proof without a name; its evidence is under her key.
WITH gone AS (DELETE FROM consent_records WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_events
-- What she did.
WITH gone AS (DELETE FROM user_events WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_rollups
-- What was counted of it.
WITH gone AS (DELETE FROM event_rollups WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_memberships
-- The segments that she is in.
WITH gone AS (DELETE FROM segment_members WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_features
-- What is known of her conduct. Her profile is gone by now, without which none is made.
WITH gone AS (DELETE FROM feature_records WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_journey_contexts
-- What her runs of journeys knew.
WITH gone AS (DELETE FROM journey_contexts WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_journey_members
-- That she was in a segment when a journey last looked.
WITH gone AS (DELETE FROM journey_members WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: withdraw_deliveries
-- Her deliveries that nobody is sending leave the open ones: from here on no worker can begin them. What a worker began and left is unknown.
WITH open AS (
    SELECT o.global_id, n.created_at, o.state
    FROM notifications n JOIN open_deliveries o USING (global_id)
    WHERE n.tenant_id = $1 AND n.user_id = $2 AND (o.state = 'ready' OR o.leased_until < now())
    ORDER BY o.global_id LIMIT $3
    FOR UPDATE OF o
), taken AS (
    DELETE FROM open_deliveries o USING open WHERE o.global_id = open.global_id
    RETURNING o.global_id, open.created_at, open.state, o.channel, o.priority, o.due_at
)
UPDATE notifications n
SET status = CASE WHEN n.status IN ('delivered', 'engaged', 'failed') THEN n.status WHEN taken.state = 'sending' THEN 'unknown' ELSE 'cancelled' END
FROM taken
WHERE n.global_id = taken.global_id AND n.created_at = taken.created_at
RETURNING n.global_id, n.notification_id, n.user_id, n.category, n.channel, n.status, n.traceparent, n.is_test, n.journey_id, taken.priority, taken.due_at

-- name: count_sending
-- Her deliveries that a worker has begun.
SELECT count(*) FROM notifications n JOIN open_deliveries o USING (global_id) WHERE n.tenant_id = $1 AND n.user_id = $2

-- name: cancel_chains
-- Nothing is sent to her on further channels.
WITH ended AS (
    UPDATE fallbacks f SET state = 'cancelled', due_at = NULL
    FROM notifications n
    WHERE n.tenant_id = $1 AND n.user_id = $2 AND f.notification_id = n.notification_id AND f.due_at IS NOT NULL
    RETURNING 1
)
SELECT count(*) FROM ended

-- name: clear_notifications
-- What was said to her, what was said about it and what vendors call it. The rows stay, without words: what was promised is counted by them.
WITH hers AS (
    SELECT global_id, created_at, provider, provider_message_id FROM notifications
    WHERE tenant_id = $1 AND user_id = $2 AND erased_at IS NULL LIMIT $3
), named AS (
    DELETE FROM provider_message_ids m USING hers
    WHERE m.tenant_id = $1 AND m.provider = hers.provider AND m.message_id = hers.provider_message_id
), cleared AS (
    UPDATE notifications n
    SET payload = '{}', personalization = '{}', metadata = '{}', journey_id = '', traceparent = '',
        attempt_log = CASE WHEN n.attempt_log IS NULL THEN NULL ELSE '[]'::jsonb END, provider_message_id = NULL, erased_at = now()
    FROM hers
    WHERE n.global_id = hers.global_id AND n.created_at = hers.created_at
    RETURNING 1
)
SELECT count(*) FROM cleared

-- name: drop_letters
-- Deliveries to her that were given up, with the errors that say why.
WITH gone AS (DELETE FROM dead_letters WHERE tenant_id = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone

-- name: drop_suspicions
-- Deliveries to her that were tried with care, with their errors.
WITH gone AS (
    DELETE FROM suspects s USING notifications n
    WHERE s.tenant_id = $1 AND n.tenant_id = $1 AND n.user_id = $2 AND n.global_id = s.global_id
    RETURNING 1
)
SELECT count(*) FROM gone

-- name: leave_lists
-- Her name in lists of broadcasts whose audience is yet to be collected. A place without a name is refused.
WITH left_ AS (
    UPDATE broadcast_lists SET names = array_replace(names, $2, '') WHERE tenant_id = $1 AND $2 = ANY (names) RETURNING 1
)
SELECT count(*) FROM left_

-- name: leave_chunks
-- Her name in chunks of broadcasts that are yet to be accepted or counted.
WITH left_ AS (
    UPDATE broadcast_chunks SET names = array_replace(names, $2, '')
    WHERE tenant_id = $1 AND state IN ('ready', 'accepted') AND $2 = ANY (names) RETURNING 1
)
SELECT count(*) FROM left_
