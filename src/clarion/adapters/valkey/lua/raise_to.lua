-- Raise numbers to at least what is given, and keep them for a while.
-- KEYS: numbers. ARGV: per key the least that it shall be, and how long it is kept in ms.
for i, key in ipairs(KEYS) do
  local known = redis.call('GET', key)
  if not known or tonumber(known) < tonumber(ARGV[2 * i - 1]) then
    redis.call('SET', key, ARGV[2 * i - 1], 'PX', ARGV[2 * i])
  end
end
return 0
