-- name: read_contexts
-- Versions of private contexts.
SELECT t.i, c.sealed
FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS t (instance_id, version, i)
JOIN journey_contexts c ON c.instance_id = t.instance_id AND c.version = t.version

-- name: write_contexts
-- Versions of private contexts. One that is written again was decided again: the later word is the one that its transition goes with.
INSERT INTO journey_contexts (instance_id, version, tenant_id, user_id, sealed)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bytea[])
ON CONFLICT (instance_id, version) DO UPDATE SET sealed = excluded.sealed, written_at = now()

-- name: drop_older_contexts
-- What no state names any more: versions before the one that the run still stands at.
DELETE FROM journey_contexts c USING unnest($1::uuid[], $2::bigint[]) AS t (instance_id, version)
WHERE c.instance_id = t.instance_id AND c.version < t.version

-- name: page_old_contexts
-- Runs whose contexts were written more than a day ago, by id beyond $1.
SELECT DISTINCT instance_id FROM journey_contexts
WHERE instance_id > $1 AND written_at < now() - interval '1 day' ORDER BY instance_id LIMIT $2

-- name: drop_contexts
-- All versions of some runs.
DELETE FROM journey_contexts WHERE instance_id = ANY($1::uuid[])
