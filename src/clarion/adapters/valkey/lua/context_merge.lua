-- Set and remove fields of one user's context, if it stays within its bounds.
-- KEYS[1]: the hash. ARGV: ttl in ms, most fields, most bytes (names and values), number n of pairs to set,
-- n pairs of name and value, then the names to remove. Answers 1: done; 0: it would be too large, nothing changed.
local context, fields, bytes = {}, 0, 0
local there = redis.call('HGETALL', KEYS[1])
for i = 1, #there, 2 do
  context[there[i]] = there[i + 1]
end
local last = 4 + 2 * tonumber(ARGV[4])
for i = 5, last, 2 do
  context[ARGV[i]] = ARGV[i + 1]
end
for i = last + 1, #ARGV do
  context[ARGV[i]] = nil
end
for name, value in pairs(context) do
  fields = fields + 1
  bytes = bytes + #name + #value
end
if fields > tonumber(ARGV[2]) or bytes > tonumber(ARGV[3]) then
  return 0
end
for i = 5, last, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
for i = last + 1, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
