-- What the regional database holds about one user, a row a record, as JSON of all the columns that there are: also of those that a later
-- release adds. $1: the tenant, $2: her number, $3: what her tenant calls her. Without our own numbers, and without what only finds
-- things (keyed hashes, fingerprints). What is sealed comes as it is, to be opened with her key.
-- Nothing is held of a user without a name ($3 empty): every statement takes all three, so that one loop runs them.

-- name: profile
SELECT to_jsonb(p) - ARRAY['tenant_id', 'user_id', 'external_id', 'fingerprint', 'email_hmac', 'phone_hmac', 'traits', 'version']
       || jsonb_build_object('user_id', p.external_id) AS record
FROM user_profiles p WHERE p.tenant_id = $1 AND p.user_id = $2 AND p.external_id = $3

-- name: devices
SELECT to_jsonb(d) - ARRAY['tenant_id', 'user_id', 'token_hmac', 'with_profile'] AS record
FROM user_devices d WHERE d.tenant_id = $1 AND d.user_id = $2 AND $3 <> '' ORDER BY d.last_seen DESC

-- name: former_devices
SELECT to_jsonb(d) - ARRAY['tenant_id', 'user_id', 'token_hmac'] AS record
FROM dead_devices d WHERE d.tenant_id = $1 AND d.user_id = $2 AND $3 <> '' ORDER BY d.died_at DESC

-- name: consent
SELECT to_jsonb(c) - ARRAY['tenant_id', 'user_id'] AS record
FROM consent_records c WHERE c.tenant_id = $1 AND c.user_id = $2 AND $3 <> '' ORDER BY c.recorded_at DESC, c.channel, c.category

-- name: consent_events
SELECT to_jsonb(c) - ARRAY['tenant_id', 'user_id'] AS record
FROM consent_events c WHERE c.tenant_id = $1 AND c.user_id = $2 AND $3 <> '' ORDER BY c.event_id

-- name: suppressions
SELECT to_jsonb(s) - ARRAY['tenant_id', 'user_id'] || '{"of": "user"}' AS record
FROM suppressions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND $3 <> ''
UNION ALL
SELECT to_jsonb(a) - ARRAY['tenant_id', 'address_hmac'] || '{"of": "address"}'
FROM user_profiles p
CROSS JOIN LATERAL (VALUES ('email', p.email_hmac), ('sms', p.phone_hmac)) AS h (channel, address_hmac)
JOIN suppressed_addresses a ON a.tenant_id = $1 AND a.channel = h.channel AND a.address_hmac = h.address_hmac
WHERE p.tenant_id = $1 AND p.user_id = $2

-- name: events
SELECT to_jsonb(e) - ARRAY['tenant_id', 'user_id'] AS record
FROM user_events e WHERE e.tenant_id = $1 AND e.user_id = $2 AND $3 <> '' ORDER BY e.at, e.event_id

-- name: event_counts
SELECT to_jsonb(r) - ARRAY['tenant_id', 'user_id'] AS record
FROM event_rollups r WHERE r.tenant_id = $1 AND r.user_id = $2 AND $3 <> '' ORDER BY r.event

-- name: segments
SELECT jsonb_build_object('segment', s.name, 'description', s.description, 'since', s.snapshot_at) AS record
FROM segment_members m JOIN segments s ON s.segment_id = m.segment_id AND s.snapshot = m.snapshot
WHERE s.tenant_id = $1 AND m.user_id = $2 AND $3 <> '' ORDER BY s.name

-- name: features
-- What is known of her conduct, packed: opened into the features that it makes, and her hours.
SELECT to_jsonb(f) - ARRAY['tenant_id', 'sequence', 'painted_at'] AS record
FROM feature_records f WHERE f.tenant_id = $1 AND f.user_id = $2 AND $3 <> ''

-- name: journey_contexts
-- What her runs of journeys know: the latest version of each.
SELECT to_jsonb(c) - ARRAY['tenant_id', 'user_id'] AS record FROM (
    SELECT DISTINCT ON (instance_id) * FROM journey_contexts WHERE tenant_id = $1 AND user_id = $2 AND $3 <> ''
    ORDER BY instance_id, version DESC
) c ORDER BY c.instance_id

-- name: notifications
-- One row a channel of each message, with its words, the decision and every attempt.
SELECT to_jsonb(n) - ARRAY['tenant_id', 'user_id', 'global_id'] || jsonb_build_object('delivery_id', n.global_id) AS record
FROM notifications n WHERE n.tenant_id = $1 AND n.user_id = $2 AND $3 <> '' ORDER BY n.created_at, n.global_id

-- name: open_deliveries
-- What waits to be sent, or is being sent.
SELECT to_jsonb(o) - ARRAY['tenant_id', 'global_id', 'lease_epoch'] || jsonb_build_object('delivery_id', o.global_id) AS record
FROM notifications n JOIN open_deliveries o USING (global_id)
WHERE n.tenant_id = $1 AND n.user_id = $2 AND $3 <> '' ORDER BY o.due_at, o.global_id

-- name: fallbacks
SELECT to_jsonb(f) - 'tenant_id' AS record
FROM fallbacks f
WHERE f.tenant_id = $1 AND $3 <> ''
      AND f.notification_id IN (SELECT n.notification_id FROM notifications n WHERE n.tenant_id = $1 AND n.user_id = $2)
ORDER BY f.created_at, f.notification_id

-- name: dead_letters
SELECT to_jsonb(d) - ARRAY['tenant_id', 'user_id', 'global_id', 'lease_epoch'] || jsonb_build_object('delivery_id', d.global_id) AS record
FROM dead_letters d WHERE d.tenant_id = $1 AND d.user_id = $2 AND $3 <> '' ORDER BY d.died_at, d.global_id

-- name: suspicions
-- Deliveries that are tried with care, with their errors.
SELECT to_jsonb(s) - ARRAY['tenant_id', 'global_id', 'trial_by'] || jsonb_build_object('delivery_id', s.global_id) AS record
FROM notifications n JOIN suspects s USING (global_id)
WHERE n.tenant_id = $1 AND n.user_id = $2 AND $3 <> '' ORDER BY s.noted_at, s.global_id

-- name: provider_ids
-- What vendors call messages.
SELECT to_jsonb(m) - ARRAY['tenant_id', 'global_id'] || jsonb_build_object('delivery_id', m.global_id) AS record
FROM notifications n
JOIN provider_message_ids m ON m.tenant_id = n.tenant_id AND m.provider = n.provider AND m.message_id = n.provider_message_id
WHERE n.tenant_id = $1 AND n.user_id = $2 AND $3 <> '' ORDER BY m.noted_at, m.message_id

-- name: broadcasts
-- Audiences that she is in, of broadcasts whose snapshot still has names.
SELECT DISTINCT jsonb_build_object('broadcast_id', b.broadcast_id, 'name', b.name, 'stage', b.stage, 'created_at', b.created_at) AS record
FROM broadcasts b
WHERE b.tenant_id = $1 AND $2::bigint > 0
      AND (EXISTS (SELECT FROM broadcast_lists l WHERE l.broadcast_id = b.broadcast_id AND $3 = ANY (l.names))
           OR EXISTS (SELECT FROM broadcast_chunks c WHERE c.broadcast_id = b.broadcast_id AND $3 = ANY (c.names)))

-- name: exports
-- That she, or somebody for her, asked for this before.
SELECT jsonb_build_object('export_id', e.export_id, 'state', e.state, 'problem', e.problem, 'requested_at', e.requested_at, 'expires_at', e.expires_at) AS record
FROM exports e WHERE e.tenant_id = $1 AND e.user_id = $2 AND $3 <> '' ORDER BY e.requested_at
