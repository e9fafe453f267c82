-- name: publish_health
-- What a region says of its accounts. Of two workers that say so at once the later word stands.
INSERT INTO provider_health (tenant_id, provider, region, state, reason, since_ms, delivery_rate, error_rate, p99_ms, attempts_per_min, updated_ms)
SELECT * FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::INT8[], $7::FLOAT8[], $8::FLOAT8[], $9::FLOAT8[], $10::FLOAT8[], $11::INT8[])
ON CONFLICT (tenant_id, provider, region) DO UPDATE
SET state = excluded.state, reason = excluded.reason, since_ms = excluded.since_ms, delivery_rate = excluded.delivery_rate,
    error_rate = excluded.error_rate, p99_ms = excluded.p99_ms, attempts_per_min = excluded.attempts_per_min, updated_ms = excluded.updated_ms
WHERE excluded.updated_ms > provider_health.updated_ms

-- name: read_health
-- How an account does in each region that used it.
SELECT tenant_id, provider, region, state, reason, since_ms, delivery_rate, error_rate, p99_ms, attempts_per_min, updated_ms
FROM provider_health WHERE tenant_id = $1 AND provider = $2 ORDER BY region

-- name: drop_health
-- Forget what nobody has said anything of for long: accounts that are gone, or not used any more.
DELETE FROM provider_health WHERE region = $1 AND updated_ms < $2
