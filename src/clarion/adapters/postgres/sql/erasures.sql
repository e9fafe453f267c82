-- name: request_erasure
-- One erasure for all of a user's numbers, present and former. Of one that is under way: that one, with numbers that are new to it.
WITH numbers AS (
    SELECT user_id FROM user_profiles WHERE tenant_id = $1 AND external_id = $4
    UNION
    SELECT user_id FROM former_users WHERE tenant_id = $1 AND subject = $3
)
INSERT INTO erasures (erasure_id, tenant_id, subject, external_id, user_ids, origin)
SELECT $2, $1, $3, $4, array_agg(n.user_id ORDER BY n.user_id), 'request' FROM numbers n HAVING count(*) > 0
ON CONFLICT (tenant_id, subject) WHERE completed_at IS NULL DO UPDATE
SET user_ids = ARRAY(SELECT DISTINCT u FROM unnest(erasures.user_ids || excluded.user_ids) u ORDER BY u), external_id = excluded.external_id
RETURNING erasure_id

-- name: find_erasure
-- The last erasure of a user of whom nothing else is known.
SELECT erasure_id FROM erasures WHERE tenant_id = $1 AND subject = $2 ORDER BY requested_at DESC LIMIT 1

-- name: read_erasure
-- One erasure; row-level security keeps it to the tenant of the transaction.
SELECT erasure_id, tenant_id, subject, external_id, user_ids, origin, rounds, progress, problem, requested_at, completed_at, certificate
FROM erasures WHERE erasure_id = $1

-- name: list_erasures
-- A tenant's erasures, newest first, from a position on.
SELECT erasure_id, tenant_id, subject, external_id, user_ids, origin, rounds, progress, problem, requested_at, completed_at, certificate
FROM erasures WHERE tenant_id = $1 AND erasure_id < $2 ORDER BY erasure_id DESC LIMIT $3

-- name: take_erasures
-- Erasures that somebody has to go on with, for $2 ms; nobody else takes them meanwhile.
UPDATE erasures e
SET next_at = now() + $2 * interval '1 millisecond'
FROM (SELECT erasure_id FROM erasures WHERE completed_at IS NULL AND next_at <= now()
      ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS s
WHERE e.erasure_id = s.erasure_id
RETURNING e.erasure_id, e.tenant_id, e.subject, e.external_id, e.user_ids, e.origin, e.rounds, e.progress, e.problem, e.requested_at,
          e.completed_at, e.certificate

-- name: note_erasure
-- How far an erasure is, and when to go on with it.
UPDATE erasures SET rounds = $2, progress = $3, problem = $4, next_at = now() + $5 * interval '1 millisecond'
WHERE erasure_id = $1 AND completed_at IS NULL

-- name: complete_erasure
-- Done, unless numbers were added meanwhile. From here on the row does not say whose erasure it was.
WITH done AS (
    UPDATE erasures SET completed_at = $3, certificate = $4, external_id = '', problem = ''
    WHERE erasure_id = $1 AND completed_at IS NULL AND user_ids = $2::bigint[]
    RETURNING tenant_id, user_ids
), forgotten AS (
    DELETE FROM former_users f USING done WHERE f.tenant_id = done.tenant_id AND f.user_id = ANY (done.user_ids)
)
SELECT count(*) = 1 FROM done

-- name: remember_former
-- A user whose profile is about to be deleted.
INSERT INTO former_users (tenant_id, subject, user_id)
SELECT tenant_id, $3, user_id FROM user_profiles WHERE tenant_id = $1 AND external_id = $2
ON CONFLICT (tenant_id, subject, user_id) DO NOTHING

-- name: drop_old_former
-- Former users of whom nothing is kept any more. In portions.
DELETE FROM former_users
WHERE ctid IN (SELECT ctid FROM former_users WHERE left_at < now() - $1 * interval '1 day' LIMIT 10000)

-- name: advance_numbers
-- No number that was ever erased is given to somebody else.
SELECT setval('user_seq', $1) FROM user_seq WHERE last_value < $1

-- name: restore_erasures
-- Erasures that the ledger has and this database has not, or no longer as complete ($6: all of them, whatever it has).
WITH entries AS (
    SELECT t.erasure_id, t.tenant_id, t.subject, ARRAY(SELECT jsonb_array_elements_text(t.user_ids)::bigint) AS user_ids, t.requested_at
    FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::jsonb[], $5::timestamptz[]) AS t (erasure_id, tenant_id, subject, user_ids, requested_at)
), named AS (
    SELECT e.*, coalesce((SELECT p.external_id FROM user_profiles p WHERE p.user_id = ANY (e.user_ids) LIMIT 1), '') AS external_id
    FROM entries e
)
INSERT INTO erasures (erasure_id, tenant_id, subject, external_id, user_ids, origin, requested_at)
SELECT n.erasure_id, n.tenant_id, n.subject, n.external_id, n.user_ids, 'restore', n.requested_at FROM named n
WHERE NOT EXISTS (SELECT FROM erasures r WHERE r.tenant_id = n.tenant_id AND r.subject = n.subject AND r.completed_at IS NULL)
ON CONFLICT (erasure_id) DO UPDATE
SET completed_at = NULL, certificate = NULL, origin = 'restore', rounds = 0, progress = '[]', next_at = now(), external_id = excluded.external_id
WHERE $6::boolean
RETURNING erasure_id

-- name: find_returned
-- Erasures of the last day of whose users something has come back: what was under way when they were erased, in a process that hung.
SELECT e.erasure_id
FROM erasures e
WHERE e.completed_at > now() - interval '1 day'
  AND EXISTS (SELECT FROM notifications n WHERE n.tenant_id = e.tenant_id AND n.user_id = ANY (e.user_ids) AND n.erased_at IS NULL)

-- name: reopen_erasures
-- Complete no longer.
UPDATE erasures e SET completed_at = NULL, certificate = NULL, rounds = 0, next_at = now()
WHERE e.erasure_id = ANY ($1::uuid[]) AND e.completed_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM erasures r WHERE r.tenant_id = e.tenant_id AND r.subject = e.subject AND r.completed_at IS NULL)

-- name: count_under_way
-- Erasures that are not complete.
SELECT count(*) FROM erasures WHERE completed_at IS NULL
