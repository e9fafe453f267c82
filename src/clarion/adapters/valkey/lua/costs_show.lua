-- Show sums, each where nothing newer of it is shown: they may come in any order.
-- KEYS: hashes. ARGV: per key how long it is kept in ms, how many sums; then per sum its name, as of when it is, and the
-- values of `sent`, `segments`, `micros` and `mean`.
local at = 1
local fields = {'|sent', '|segments', '|micros', '|mean'}
for _, key in ipairs(KEYS) do
  local kept, sums = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, sums do
    local name, as_of = ARGV[at], ARGV[at + 1]
    local known = redis.call('HGET', key, name .. '|as_of')
    if not known or tonumber(known) < tonumber(as_of) then
      redis.call('HSET', key, name .. '|as_of', as_of)
      for i, field in ipairs(fields) do
        redis.call('HSET', key, name .. field, ARGV[at + 1 + i])
      end
    end
    at = at + 6
  end
  redis.call('PEXPIRE', key, kept)
end
return 0
