-- Remove keys. Answers per key: 1 it was there, 0 it was not.
local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = redis.call('UNLINK', key)
end
return answers
