-- Take tokens from buckets, by the server's clock.
-- KEYS: buckets; each holds the instant (ms since 1970, UTC) at which it will be full, and is absent while it is full.
-- ARGV: slack in ms; then per key: ms per token, capacity in ms (burst x ms per token), costs in order, by commas.
-- Answers per key: per cost the sign of the answer (+ taken, - refused) and in how many ms the bucket will be full,
-- by commas.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local slack = tonumber(ARGV[1])
local answers = {}
for i, key in ipairs(KEYS) do
  local per_token, capacity = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local full_at = tonumber(redis.call('GET', key) or now)
  -- Both bounds hold whatever the rate was before, and wherever the clock has jumped: nobody waits longer than one
  -- full bucket takes.
  local full_in = math.min(math.max(full_at - now, 0), capacity)
  local marks, taken = {}, false
  for cost in string.gmatch(ARGV[3 * i + 1], '%d+') do
    local after = full_in + cost * per_token
    if after <= capacity + slack then
      full_in, taken = after, true
      marks[#marks + 1] = string.format('+%.6f', full_in)
    else
      marks[#marks + 1] = string.format('-%.6f', full_in)
    end
  end
  if taken then
    -- At least 1 ms, which is the least life a key can be given.
    redis.call('SET', key, string.format('%.17g', now + full_in), 'PX', math.ceil(full_in) + 1)
  end
  answers[i] = table.concat(marks, ',')
end
return answers
