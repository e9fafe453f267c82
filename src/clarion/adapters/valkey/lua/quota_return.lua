-- Free places of days again.
-- KEYS: counters. ARGV: per key how many places.
-- Answers per key how many are taken now.
local answers = {}
for i, key in ipairs(KEYS) do
  local used = tonumber(redis.call('GET', key) or 0)
  local left = math.max(0, used - tonumber(ARGV[i]))
  if used > 0 then
    redis.call('SET', key, string.format('%.0f', left), 'KEEPTTL')
  end
  answers[i] = left
end
return answers
