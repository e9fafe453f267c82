-- name: request_export
-- The export of a user ($3: her tenant's name of her) under a new id ($2), or the one under way. Nothing: she is not there.
WITH who AS (
    SELECT user_id FROM user_profiles WHERE tenant_id = $1 AND external_id = $3
), fresh AS (
    INSERT INTO exports (export_id, tenant_id, user_id, external_id)
    SELECT $2, $1, user_id, $3 FROM who
    ON CONFLICT (tenant_id, user_id) WHERE state = 'running' DO UPDATE SET external_id = excluded.external_id
    RETURNING export_id
)
SELECT export_id FROM fresh

-- name: read_export
SELECT * FROM exports WHERE export_id = $1

-- name: list_exports
-- A tenant's exports, newest first, from a position on.
SELECT * FROM exports WHERE tenant_id = $1 AND export_id < $2 ORDER BY export_id DESC LIMIT $3

-- name: take_export
-- The export that waits longest, held for so long ($1, milliseconds) that its worker has reported by then, or is dead.
UPDATE exports SET next_at = now() + $1 * interval '1 millisecond'
WHERE export_id = (SELECT export_id FROM exports WHERE state = 'running' AND next_at <= now() AND ($2::uuid IS NULL OR export_id = $2)
                   ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *

-- name: note_export
-- How far it is, what it waits for, and when to go on ($4: milliseconds from now).
UPDATE exports SET progress = $2, problem = $3, next_at = now() + $4 * interval '1 millisecond'
WHERE export_id = $1 AND state = 'running'

-- name: drop_parts
DELETE FROM export_parts WHERE export_id = $1

-- name: add_part
INSERT INTO export_parts (tenant_id, export_id, part, sealed) VALUES ($1, $2, $3, $4)

-- name: finish_export
-- The archive is whole; kept for $5 days. Nothing: it is no longer under way, for she is erased.
UPDATE exports SET state = 'ready', progress = $2, problem = '', bytes = $3, sha256 = $4, ended_at = now(), expires_at = now() + $5 * interval '1 day'
WHERE export_id = $1 AND state = 'running'
RETURNING export_id

-- name: fail_export
UPDATE exports SET state = 'failed', problem = $2, ended_at = now() WHERE export_id = $1 AND state = 'running'

-- name: read_part
-- One part of an archive that is not past its days.
SELECT p.sealed FROM export_parts p JOIN exports e USING (export_id)
WHERE p.export_id = $1 AND p.part = $2 AND e.state = 'ready' AND e.expires_at > now()

-- name: expire_exports
-- Archives past their days go; so many at once.
WITH old AS (
    UPDATE exports SET state = 'expired'
    WHERE export_id IN (SELECT export_id FROM exports WHERE state = 'ready' AND expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING export_id
), gone AS (
    DELETE FROM export_parts p USING old WHERE p.export_id = old.export_id
)
SELECT count(*) FROM old

-- name: forget_exports
-- That one was asked for is known for $1 days.
DELETE FROM exports WHERE state IN ('failed', 'expired') AND requested_at < now() - $1 * interval '1 day'

-- name: erase_exports
-- What was made for a user who is erased, and that it was.
WITH gone AS (
    DELETE FROM exports WHERE tenant_id = $1 AND user_id = $2 RETURNING export_id
), parts AS (
    DELETE FROM export_parts p USING gone WHERE p.export_id = gone.export_id RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS exports, (SELECT count(*) FROM parts) AS parts
