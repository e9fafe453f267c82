-- name: old_days
-- The days of notifications that are older than so many days ($1), oldest first.
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'notifications'::regclass AND c.relname ~ '^notifications_[0-9]{8}$'
      AND to_date(right(c.relname, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'UTC')::date - $1::int
ORDER BY day

-- name: retire_day
SELECT retire_day($1)

-- name: shorter_times
-- Categories whose tenants keep contents for less than the region ($1 days), with the span that is still to be cleared.
SELECT t.tenant_id, d.category, coalesce(c.cleared_until, '1970-01-01'::timestamptz) AS since,
       now() - d.days * interval '1 day' AS until
FROM tenant_settings t
CROSS JOIN LATERAL (SELECT e.key AS category, e.value::int AS days
                    FROM jsonb_each_text(coalesce(t.compliance -> 'retention_days', '{}')) e) d
LEFT JOIN cleared_contents c ON c.tenant_id = t.tenant_id AND c.category = d.category
WHERE d.days > 0 AND d.days < $1 AND coalesce(c.cleared_until, '1970-01-01'::timestamptz) < now() - d.days * interval '1 day'
ORDER BY 1, 2

-- name: clear_contents
-- What was said in messages that are over, some at once ($5). The rows stay: what was promised is counted by them.
WITH old AS (
    SELECT n.global_id, n.created_at FROM notifications n
    WHERE n.tenant_id = $1 AND n.category = $2 AND n.created_at >= $3 AND n.created_at < $4
          AND (n.payload <> '{}' OR n.personalization <> '{}' OR n.metadata <> '{}')
          AND NOT EXISTS (SELECT FROM open_deliveries o WHERE o.global_id = n.global_id)
          AND NOT EXISTS (SELECT FROM fallbacks f WHERE f.notification_id = n.notification_id AND f.due_at IS NOT NULL)
          AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.global_id = n.global_id AND d.redriven_at IS NULL)
    LIMIT $5
), cleared AS (
    UPDATE notifications n SET payload = '{}', personalization = '{}', metadata = '{}'
    FROM old WHERE n.global_id = old.global_id AND n.created_at = old.created_at
    RETURNING 1
)
SELECT count(*) FROM cleared

-- name: note_cleared
-- Up to where all is cleared: not beyond the first message that is not over.
INSERT INTO cleared_contents (tenant_id, category, cleared_until)
SELECT $1, $2, least($4, (SELECT min(n.created_at) FROM notifications n
                          WHERE n.tenant_id = $1 AND n.category = $2 AND n.created_at >= $3 AND n.created_at < $4
                                AND (n.payload <> '{}' OR n.personalization <> '{}' OR n.metadata <> '{}')))
ON CONFLICT (tenant_id, category) DO UPDATE SET cleared_until = excluded.cleared_until

-- name: drop_old_audit
-- Entries of the audit log that are past their seven years.
SELECT drop_old_audit()
