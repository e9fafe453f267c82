-- name: find_head
-- Where the tenant's next entry goes; nobody else gets in between before this transaction ends.
SELECT number, hash, at FROM audit_head($1)

-- name: insert_entry
-- One entry after the last.
INSERT INTO audit_log (tenant_id, number, at, begun, actor, operation, target, outcome, reason, ip, request_id, facts, previous, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: search
-- Acts with how each ended, newest first: filters that are NULL hold for all. Row-level security keeps them to the tenant.
SELECT b.number, b.at, b.actor, b.operation, coalesce(e.target, b.target) AS target, b.reason, b.ip, b.request_id, b.facts,
       e.number AS ended, e.at AS ended_at, e.outcome, e.facts AS ending_facts, coalesce(e.hash, b.hash) AS hash
FROM audit_log b LEFT JOIN audit_log e ON e.tenant_id = b.tenant_id AND e.begun = b.number
WHERE b.begun = 0 AND b.number < $1
  AND ($2::text IS NULL OR b.actor = $2)
  AND ($3::text IS NULL OR b.operation = $3)
  AND ($4::text IS NULL OR starts_with(coalesce(e.target, b.target), $4))
  AND ($5::timestamptz IS NULL OR b.at >= $5)
  AND ($6::timestamptz IS NULL OR b.at < $6)
ORDER BY b.number DESC LIMIT $7

-- name: read_entries
-- The chain as it is stored, oldest first; row-level security keeps it to the tenant.
SELECT number, at, begun, actor, operation, target, outcome, reason, ip, request_id, facts, previous, hash
FROM audit_log WHERE number > $1 ORDER BY number LIMIT $2

-- name: list_logs
-- Every tenant, and those that are gone and have entries yet.
SELECT tenant_id FROM tenant_settings UNION SELECT tenant_id FROM audit_log ORDER BY tenant_id
