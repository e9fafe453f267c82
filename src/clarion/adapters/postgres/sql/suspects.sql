-- name: any_suspects
-- Whether there is any: nearly always not, and then no batch asks further.
SELECT EXISTS (SELECT FROM suspects)

-- name: note_lost
-- Deliveries that a dead worker held ($2: whose claims ended without a word; else those whose attempt began and has no end). A suspect
-- is not noted again: what happens to it from here on, its trials count.
INSERT INTO suspects (global_id, tenant_id, crashes, last_error)
SELECT o.global_id, o.tenant_id, 1, 'a worker died while it held this and others'
FROM open_deliveries o
WHERE o.global_id = ANY ($1::uuid[]) AND (o.leased_until IS NULL OR o.leased_until < now())
  AND (o.state = 'sending' OR ($2 AND o.due_at <= now()))
ON CONFLICT DO NOTHING

-- name: count_ended_trials
-- A trial past its time, of a process that is not this one, ended with that process.
UPDATE suspects SET crashes = crashes + 1, trial_until = NULL, last_error = 'a worker died while it tried this with care', noted_at = now()
WHERE global_id = ANY ($1::uuid[]) AND trial_until < now() AND trial_by <> $2

-- name: read_suspects
-- The suspects among these, and until when each is on trial already.
SELECT global_id, crashes, deliveries, trial_until, trial_by FROM suspects WHERE global_id = ANY ($1::uuid[])

-- name: begin_trials
-- Committed before anything is done with them: whoever finds a trial past its time knows that its worker died over it.
UPDATE suspects SET trial_until = now() + $3 * interval '1 millisecond', trial_by = $2
WHERE global_id = ANY ($1::uuid[]) AND (trial_until IS NULL OR trial_by = $2)
RETURNING global_id

-- name: end_trials
-- The worker lived. What is no longer open is cleared; the rest stays suspect.
WITH lived AS (
    UPDATE suspects s SET trial_until = NULL
    WHERE s.global_id = ANY ($1::uuid[]) AND EXISTS (SELECT FROM open_deliveries o WHERE o.global_id = s.global_id)
)
DELETE FROM suspects s
WHERE s.global_id = ANY ($1::uuid[]) AND NOT EXISTS (SELECT FROM open_deliveries o WHERE o.global_id = s.global_id)

-- name: strike
-- One more claim that came to nothing through an error of ours.
INSERT INTO suspects AS s (global_id, tenant_id, deliveries, last_error)
SELECT o.global_id, o.tenant_id, 1, $2 FROM open_deliveries o WHERE o.global_id = ANY ($1::uuid[])
ON CONFLICT (global_id) DO UPDATE SET deliveries = s.deliveries + 1, last_error = excluded.last_error, trial_until = NULL, noted_at = now()
RETURNING global_id, deliveries

-- name: bury
-- Deliveries become dead letters: their open rows go, and their notifications end. A live lease protects from it.
WITH dead AS (
    DELETE FROM open_deliveries o USING suspects s
    WHERE o.global_id = ANY ($1::uuid[]) AND s.global_id = o.global_id AND (o.leased_until IS NULL OR o.leased_until < now())
    RETURNING o.global_id, o.created_at, o.state, o.attempts, o.provider, o.lease_epoch, s.crashes, s.deliveries, s.last_error,
              CASE WHEN s.crashes >= $2 THEN 'crashed_workers' ELSE 'deliveries' END AS reason,
              CASE WHEN o.state = 'sending' THEN 'unknown' ELSE 'failed' END AS ended
), told AS (
    UPDATE notifications n
    SET status = CASE WHEN n.status IN ('delivered', 'engaged', 'failed') THEN n.status ELSE d.ended END,
        attempt_log = coalesce(n.attempt_log, '[]') || jsonb_build_object(
            'n', d.attempts, 'at_ms', (extract(epoch FROM now()) * 1000)::bigint, 'outcome', 'dead_letter',
            'provider', d.provider, 'rule', d.reason, 'detail', d.last_error)
    FROM dead d
    WHERE n.global_id = d.global_id AND n.created_at = d.created_at
    RETURNING n.global_id, n.created_at, n.notification_id, n.tenant_id, n.user_id, n.category, n.channel, n.template, n.priority, n.is_test,
              n.status, n.traceparent, n.journey_id, d.attempts, d.provider, d.lease_epoch, d.crashes, d.deliveries, d.last_error, d.reason
), letters AS (
    INSERT INTO dead_letters (global_id, created_at, notification_id, tenant_id, user_id, category, channel, template, priority, is_test,
                              reason, last_error, crashes, deliveries, attempts, provider, status, lease_epoch, died_at)
    SELECT global_id, created_at, notification_id, tenant_id, user_id, category, channel, template, priority, is_test,
           reason, last_error, crashes, deliveries, attempts, provider, status, lease_epoch,
           date_trunc('milliseconds', now()) -- as cursors can say it
    FROM told
    ON CONFLICT (global_id) DO UPDATE
    SET reason = excluded.reason, last_error = excluded.last_error, crashes = excluded.crashes, deliveries = excluded.deliveries,
        attempts = excluded.attempts, provider = excluded.provider, status = excluded.status, lease_epoch = excluded.lease_epoch,
        died_at = excluded.died_at, redriven_at = NULL, redrive_due_at = NULL
), cleared AS (
    DELETE FROM suspects WHERE global_id IN (SELECT global_id FROM dead)
)
SELECT * FROM told

-- name: drop_old_suspects
-- Crashes count together within 72 hours; what is no longer open is suspect of nothing.
DELETE FROM suspects s
WHERE s.noted_at < now() - interval '72 hours' OR NOT EXISTS (SELECT FROM open_deliveries o WHERE o.global_id = s.global_id)
