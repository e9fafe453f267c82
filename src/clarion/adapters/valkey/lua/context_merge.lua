-- Set and remove fields of one user's context, if it stays within its bounds, and write it out as one document.
-- KEYS[1]: the hash. ARGV: ttl in ms, most fields, most bytes (names and values), the document's field, number n of
-- pairs to set, n pairs of name and JSON, then the names to remove.
-- Answers 1: done; 0: it would be too large, nothing changed.
local KEY, DOCUMENT = KEYS[1], ARGV[4]
local FIRST, LAST = 6, 5 + 2 * tonumber(ARGV[5])
local context, fields, bytes, parts = {}, 0, 0, {}
local there = redis.call('HGETALL', KEY)
for i = 1, #there, 2 do
  context[there[i]] = there[i + 1]
end
context[DOCUMENT] = nil
for i = FIRST, LAST, 2 do
  context[ARGV[i]] = ARGV[i + 1]
end
for i = LAST + 1, #ARGV do
  context[ARGV[i]] = nil
end
for name, json in pairs(context) do
  fields = fields + 1
  bytes = bytes + #name + #json
  parts[fields] = cjson.encode(name) .. ':' .. json
end
if fields > tonumber(ARGV[2]) or bytes > tonumber(ARGV[3]) then
  return 0
end
for i = LAST + 1, #ARGV do
  redis.call('HDEL', KEY, ARGV[i])
end
if fields == 0 then
  redis.call('UNLINK', KEY)
  return 1
end
for i = FIRST, LAST, 2 do
  redis.call('HSET', KEY, ARGV[i], ARGV[i + 1])
end
-- The fields stay JSON as they came: decoding them here would turn [] into {} and 1.0 into 1.
redis.call('HSET', KEY, DOCUMENT, '{' .. table.concat(parts, ',') .. '}')
redis.call('PEXPIRE', KEY, ARGV[1])
return 1
