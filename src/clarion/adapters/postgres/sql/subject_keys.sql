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
