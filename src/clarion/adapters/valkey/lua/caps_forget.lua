-- Remove sets of a user: a portion of the keys of the node that has KEYS[1] (a name without a set, of her hash tag) is looked at.
-- ARGV: the cursor (0 at first), a pattern of keys of that hash tag, how many keys to look at. Answers: the next cursor ("0": that
-- was all), how many sets were removed.
local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
for _, key in ipairs(found[2]) do
  redis.call('UNLINK', key)
end
return {found[1], #found[2]}
