-- Keep records, each only in the place of the one that it was made of.
-- KEYS: the records' keys. ARGV: ttl in ms; then per key the record, whose layout is its first two bytes and whose sequence (32 bits,
-- little-endian, as all of it) stands after four. Answers per key: 1 kept, 0 overtaken, or forgotten a moment ago (an empty value).
local answers = {}
for i, key in ipairs(KEYS) do
  local blob = ARGV[i + 1]
  local there = redis.call('GETRANGE', key, 0, 7)
  local free
  if #there == 8 then
    -- One of another layout is no record: whatever is made now replaces it.
    free = string.sub(there, 1, 2) ~= string.sub(blob, 1, 2)
      or struct.unpack('<I4', there, 5) + 1 == struct.unpack('<I4', blob, 5)
  else
    -- Where nothing is kept, it was lost, and the new one was made of what else remembers it.
    free = redis.call('EXISTS', key) == 0
  end
  if free then
    redis.call('SET', key, blob, 'PX', ARGV[1])
    answers[i] = 1
  else
    answers[i] = 0
  end
end
return answers
