-- Take turns of throttles, by the server's clock: so many in so long, and who has one keeps it.
-- KEYS: sorted sets of who has a turn, by when it is (ms since 1970, UTC).
-- ARGV: per key who asks, the limit, the span in ms, and 1 where a turn to come is taken when none is free now.
-- Answers per key in how many ms the turn is; 0: now.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers = {}
for i, key in ipairs(KEYS) do
  local who, limit, span = ARGV[4 * i - 3], tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - span)
  local at = tonumber(redis.call('ZSCORE', key, who) or false)
  if not at then
    local taken = redis.call('ZCARD', key)
    at = now
    if taken >= limit then
      -- The turn that comes a span after the one `limit` places before it.
      local before = redis.call('ZRANGE', key, taken - limit, taken - limit, 'WITHSCORES')
      at = math.max(now, tonumber(before[2]) + span)
    end
    if at <= now or ARGV[4 * i] == '1' then
      redis.call('ZADD', key, at, who)
      redis.call('PEXPIREAT', key, string.format('%.0f', at + span))
    end
  end
  answers[i] = string.format('%.0f', math.max(0, at - now))
end
return answers
