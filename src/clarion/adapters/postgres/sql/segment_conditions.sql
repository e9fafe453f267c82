-- name: has_term
-- By the GIN index.
p.traits @> ARRAY[{value}::bigint]

-- name: has_terms
p.traits @> {value}::bigint[]

-- name: has_any_term
p.traits && {value}::bigint[]

-- name: text_is
(p.{column} <> '' AND p.{column} {operator} {value}::text COLLATE "C")

-- name: text_begins
(p.{column} <> '' AND starts_with(p.{column}, {value}::text))

-- name: created
-- To the millisecond, as users are judged.
(date_trunc('milliseconds', p.created_at) {operator} {value}::timestamptz)

-- name: reaches
((p.reachable & {value}::smallint) <> 0)

-- name: feature_set
coalesce(jsonb_typeof(p.ml_features #> {path}::text[]) <> 'null', false)

-- name: feature_number
CASE WHEN jsonb_typeof(p.ml_features #> {path}::text[]) = 'number'
     THEN (p.ml_features #>> {path}::text[])::float8 {operator} {value}::float8 ELSE false END

-- name: feature_string
CASE WHEN jsonb_typeof(p.ml_features #> {path}::text[]) = 'string'
     THEN (p.ml_features #>> {path}::text[]) {operator} {value}::text COLLATE "C" ELSE false END

-- name: feature_boolean
CASE WHEN jsonb_typeof(p.ml_features #> {path}::text[]) = 'boolean'
     THEN (p.ml_features #>> {path}::text[])::boolean {operator} {value}::boolean ELSE false END

-- name: event_count
-- For counts that 0 does not meet. IS TRUE lets the planner begin with those who did it.
(({alias}.count {operator} {value}::float8) IS TRUE)

-- name: event_count_or_never
(coalesce({alias}.count, 0) {operator} {value}::float8)

-- name: event_time
(({alias}.{measure} {operator} {value}::timestamptz) IS TRUE)

-- name: join_event
LEFT JOIN event_rollups {alias} ON {alias}.tenant_id = $1 AND {alias}.event = {event}::text AND {alias}.user_id = p.user_id

-- name: join_recent
LEFT JOIN (SELECT user_id, count(*) AS count FROM user_events
           WHERE tenant_id = $1 AND event = {event}::text AND at >= {since}::timestamptz GROUP BY user_id) {alias}
     ON {alias}.user_id = p.user_id
