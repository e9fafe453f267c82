-- Take places for deliveries; one that has a place already keeps it and takes no second one.
-- KEYS: sets of delivery ids. ARGV: life of a set in ms; then per key the delivery id and the set's limit.
-- Answers per key: 1 it has a place, 0 none was left.
local answers = {}
for i, key in ipairs(KEYS) do
  local id = ARGV[2 * i]
  local answer = 1
  if redis.call('SADD', key, id) == 1 then
    local size = redis.call('SCARD', key)
    if size > tonumber(ARGV[2 * i + 1]) then
      redis.call('SREM', key, id)
      answer = 0
    elseif size == 1 then
      redis.call('PEXPIRE', key, ARGV[1])
    end
  end
  answers[i] = answer
end
return answers
