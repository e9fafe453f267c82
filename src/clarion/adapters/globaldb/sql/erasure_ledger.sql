-- name: note_erasure
-- An erasure of a region, or its further numbers.
INSERT INTO erasure_ledger (erasure_id, tenant_id, region, subject, user_ids, requested_ms) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (erasure_id) DO UPDATE SET user_ids = excluded.user_ids

-- name: page_erasures
-- A region's erasures by id, after one.
SELECT erasure_id, tenant_id, subject, user_ids, requested_ms FROM erasure_ledger
WHERE region = $1 AND erasure_id > $2 ORDER BY erasure_id LIMIT $3
