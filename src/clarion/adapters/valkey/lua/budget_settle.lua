-- Replace what deliveries hold by what they cost. What is not held any more was settled before.
-- KEYS: per account the sum of what was spent and is held, and the hash of what is held by delivery id.
-- ARGV: per claim the delivery id, what it cost, and the accounts that count it (places from 0, by commas).
for at = 1, #ARGV, 3 do
  for text in string.gmatch(ARGV[at + 2], '%d+') do
    local i = tonumber(text) + 1
    local held = redis.call('HGET', KEYS[2 * i], ARGV[at])
    if held then
      redis.call('HDEL', KEYS[2 * i], ARGV[at])
      local change = tonumber(ARGV[at + 1]) - tonumber(held)
      if change ~= 0 and redis.call('EXISTS', KEYS[2 * i - 1]) == 1 then
        redis.call('INCRBY', KEYS[2 * i - 1], string.format('%.0f', change))
      end
    end
  end
end
return 0
