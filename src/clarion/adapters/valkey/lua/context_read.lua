-- The contexts of many users. KEYS: the hashes. ARGV[1]: the document's field. Answers per key: its document, or nil.
local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = redis.call('HGET', key, ARGV[1])
end
return answers
