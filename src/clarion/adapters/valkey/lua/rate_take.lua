-- Take tokens from buckets, by the server's clock, and places of a day.
-- KEYS: buckets; each holds the instant (ms since 1970, UTC) at which it will be full, and is absent while it is full.
-- A bucket with a limit is followed by the counter of the day's places, which are taken together with its tokens.
-- ARGV: slack in ms; then per key: ms per token, capacity in ms (burst x ms per token), costs in order, by commas, and
-- the limit of the day, -1 for none. Of a counter: how long it is kept in ms, two that mean nothing, and -2.
-- Answers per bucket: per cost the sign of the answer (+ taken, - refused, q no place left) and in how many ms the
-- bucket will be full, with a limit also `:` and the places taken by then, by commas. Per counter: the places taken.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local slack = tonumber(ARGV[1])
local answers = {}
for i, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[4 * i + 1])
  if limit > -2 then
    local per_token, capacity = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
    local full_at = tonumber(redis.call('GET', key) or now)
    local counter = limit >= 0 and KEYS[i + 1]
    local used = counter and tonumber(redis.call('GET', counter) or 0) or 0
    -- Both bounds hold whatever the rate was before, and wherever the clock has jumped: nobody waits longer than one
    -- full bucket takes.
    local full_in = math.min(math.max(full_at - now, 0), capacity)
    local marks, taken, counted = {}, false, false
    for text in string.gmatch(ARGV[4 * i], '%d+') do
      local cost = tonumber(text)
      local after = full_in + cost * per_token
      local sign = '-'
      if after <= capacity + slack then
        if counter and cost > 0 and used + cost > limit then
          sign = 'q'
        else
          full_in, taken, sign = after, true, '+'
          if counter and cost > 0 then
            used, counted = used + cost, true
          end
        end
      end
      local mark = string.format('%s%.6f', sign, full_in)
      marks[#marks + 1] = counter and mark .. ':' .. string.format('%.0f', used) or mark
    end
    if taken then
      -- At least 1 ms, which is the least life a key can be given.
      redis.call('SET', key, string.format('%.17g', now + full_in), 'PX', math.ceil(full_in) + 1)
    end
    if counted then
      redis.call('SET', counter, string.format('%.0f', used), 'PX', ARGV[4 * (i + 1) - 2])
    end
    if counter then
      answers[i + 1] = string.format('%.0f', used)
    end
    answers[i] = table.concat(marks, ',')
  end
end
return answers
