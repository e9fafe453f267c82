-- name: compare_promises
-- Per tenant and day: what was promised and what is there, where the two differ. Of tenants that are being deleted nothing is promised
-- any more. The low 64 bits of the ids are summed on both sides.
WITH promised AS (
    SELECT tenant_id, day, sum(deliveries)::bigint AS deliveries, sum(id_sum) AS id_sum
    FROM accept_batches WHERE tenant_id NOT IN (SELECT tenant_id FROM tenant_deletions) GROUP BY tenant_id, day
), kept AS (
    SELECT tenant_id, (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS deliveries,
           sum(('x' || right(replace(global_id::text, '-', ''), 16))::bit(64)::bigint::numeric
               + CASE WHEN get_byte(uuid_send(global_id), 8) >= 128 THEN 18446744073709551616 ELSE 0 END) AS id_sum
    FROM notifications WHERE tenant_id NOT IN (SELECT tenant_id FROM tenant_deletions) GROUP BY 1, 2
)
SELECT coalesce(p.tenant_id, k.tenant_id) AS tenant_id, coalesce(p.day, k.day) AS day,
       coalesce(p.deliveries, 0) AS promised, coalesce(k.deliveries, 0) AS kept,
       coalesce(p.id_sum, 0) = coalesce(k.id_sum, 0) AS same_ids
FROM promised p FULL JOIN kept k USING (tenant_id, day)
ORDER BY 1, 2

-- name: count_statuses
-- Deliveries by status, all tenants.
SELECT status, count(*) AS deliveries FROM notifications GROUP BY status ORDER BY status

-- name: count_open
-- Open deliveries: all, those not due yet, those that are due and have waited longer than $1 seconds without a live lease,
-- and those whose attempt has begun and is not recorded.
SELECT count(*) AS open,
       count(*) FILTER (WHERE due_at > now()) AS waiting,
       count(*) FILTER (WHERE due_at < now() - $1 * interval '1 second' AND (leased_until IS NULL OR leased_until < now())) AS overdue,
       count(*) FILTER (WHERE state = 'sending') AS sending
FROM open_deliveries

-- name: find_contradictions
-- Rows that contradict each other: not terminal without an open row, terminal with one, sent without an attempt.
SELECT n.global_id, n.status, 'not terminal, and nobody will send it' AS problem
FROM notifications n LEFT JOIN open_deliveries o USING (global_id)
WHERE n.status IN ('queued', 'ml_scheduled', 'scheduled', 'deferred', 'retrying') AND o.global_id IS NULL
  AND n.tenant_id NOT IN (SELECT tenant_id FROM tenant_deletions)
UNION ALL
SELECT n.global_id, n.status, 'terminal, and still open'
FROM open_deliveries o JOIN notifications n USING (global_id)
WHERE n.status IN ('sent', 'blocked', 'expired', 'failed', 'cancelled', 'unknown')
UNION ALL
SELECT n.global_id, n.status, 'sent without an attempt'
FROM notifications n
WHERE n.status IN ('sent', 'delivered', 'engaged') AND (n.attempts = 0 OR n.attempt_log IS NULL)
UNION ALL
SELECT d.global_id, d.status, 'a dead letter, and still open'
FROM dead_letters d JOIN open_deliveries o USING (global_id)
WHERE d.redriven_at IS NULL
UNION ALL
SELECT o.global_id, o.state, 'open without a notification'
FROM open_deliveries o LEFT JOIN notifications n USING (global_id)
WHERE n.global_id IS NULL AND o.tenant_id NOT IN (SELECT tenant_id FROM tenant_deletions)
LIMIT 100
