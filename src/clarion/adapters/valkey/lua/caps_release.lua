-- Give places back. KEYS: sets of delivery ids. ARGV: per key the delivery id. Answers per key: 1 it had one, 0 not.
local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = redis.call('SREM', key, ARGV[i])
end
return answers
