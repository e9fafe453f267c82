-- Put a tombstone in the place of cards: it is no card, and newer than any, so that nothing is kept while it lasts.
-- KEYS: the cards' keys. ARGV: the tombstone, its life in ms. Answers per key: 1.
local answers = {}
for i, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
  answers[i] = 1
end
return answers
