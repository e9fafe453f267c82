-- Keep cards, except where one of the same or a newer version is there.
-- KEYS: the cards' keys. ARGV: ttl in ms; then per key the blob, whose first 8 bytes are the version (big-endian).
-- Answers per key: 1 kept, 0 not.
local answers = {}
for i, key in ipairs(KEYS) do
  local blob = ARGV[i + 1]
  local there = redis.call('GETRANGE', key, 0, 7)
  -- Numbers, not strings: Lua compares strings by locale. A double is exact up to version 2^53.
  if #there == 8 and struct.unpack('>I8', there) >= struct.unpack('>I8', blob) then
    answers[i] = 0
  else
    redis.call('SET', key, blob, 'PX', ARGV[1])
    answers[i] = 1
  end
end
return answers
