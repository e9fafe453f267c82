-- Remove cards. A card becomes a tombstone, so that an older one on its way is not kept; a tombstone goes.
-- KEYS: the cards' keys. ARGV: the tombstone, its life in ms. Answers per key: 1 there was something, 0 there was nothing.
local answers = {}
for i, key in ipairs(KEYS) do
  local found = redis.call('GET', key)
  if not found then
    answers[i] = 0
  else
    if found == ARGV[1] then
      redis.call('UNLINK', key)
    else
      redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
    end
    answers[i] = 1
  end
end
return answers
