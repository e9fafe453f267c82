-- name: fetch_keys
-- The wrapped keys of these users.
SELECT user_id, wrapped FROM subject_keys WHERE user_id = ANY($1::bigint[])

-- name: add_keys
-- Keep keys; a user who has one keeps it.
INSERT INTO subject_keys (user_id, wrapped) SELECT * FROM unnest($1::bigint[], $2::bytea[])
ON CONFLICT (user_id) DO NOTHING
RETURNING user_id

-- name: destroy_keys
-- What these keys sealed cannot be read again.
DELETE FROM subject_keys WHERE user_id = ANY($1::bigint[])

-- name: page_keys
-- The next users' keys that were not wrapped by the master key of this number.
SELECT user_id, wrapped FROM subject_keys WHERE user_id > $1 AND substr(wrapped, 1, 4) <> $2 ORDER BY user_id LIMIT $3

-- name: replace_keys
-- The same keys wrapped in another way, those that are still kept as they were read.
UPDATE subject_keys s SET wrapped = n.wrapped
FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS n (user_id, old, wrapped)
WHERE s.user_id = n.user_id AND s.wrapped = n.old
