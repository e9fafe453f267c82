-- How many places are taken. KEYS: sets of delivery ids. Answers per key: their number.
local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = redis.call('SCARD', key)
end
return answers
