-- Raise the fields of hashes to the sums that are given: sums only grow, and may come in any order.
-- KEYS: hashes. ARGV: per key how long it is kept in ms, how many fields, and per field its name and sum.
local at = 1
for _, key in ipairs(KEYS) do
  local kept, fields = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, fields do
    local known = redis.call('HGET', key, ARGV[at])
    if not known or tonumber(known) < tonumber(ARGV[at + 1]) then
      redis.call('HSET', key, ARGV[at], ARGV[at + 1])
    end
    at = at + 2
  end
  redis.call('PEXPIRE', key, kept)
end
return 0
