-- name: add_costs
-- Add to sums. In the order of their keys, so that two workers never wait for one another in a circle.
INSERT INTO cost_days AS c (tenant_id, day, provider, channel, category, country, is_test, sent, segments, micros, mean_micros)
SELECT * FROM unnest($1::uuid[], $2::date[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[],
                     $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
ON CONFLICT (tenant_id, day, provider, channel, category, country, is_test) DO UPDATE
SET sent = c.sent + excluded.sent, segments = c.segments + excluded.segments, micros = c.micros + excluded.micros,
    mean_micros = c.mean_micros + excluded.mean_micros
RETURNING tenant_id, day, provider, channel, category, country, is_test, sent, segments, micros, mean_micros,
          (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS as_of_us

-- name: spent_on
-- What was spent from a day on, on a channel and in a category (empty: all). Tests do not count.
SELECT coalesce((SELECT sum(c.micros) FROM cost_days c
                 WHERE c.tenant_id = t.tenant_id AND c.day >= t.first_day AND NOT c.is_test
                   AND t.channel IN ('', c.channel) AND t.category IN ('', c.category)), 0)::bigint AS micros
FROM unnest($1::uuid[], $2::date[], $3::text[], $4::text[]) WITH ORDINALITY AS t (tenant_id, first_day, channel, category, place)
ORDER BY t.place

-- name: read_costs
-- A tenant's sums between two days, by what they are to be told apart by.
SELECT provider, channel, category, sum(sent)::bigint AS sent, sum(segments)::bigint AS segments, sum(micros)::bigint AS micros,
       sum(mean_micros)::bigint AS mean_micros
FROM cost_days
WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 AND is_test = $4
GROUP BY provider, channel, category
