-- The contexts of many users. KEYS: the hashes. Answers per key: its names and values in turn.
local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = redis.call('HGETALL', key)
end
return answers
