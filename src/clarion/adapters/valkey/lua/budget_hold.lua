-- Hold what deliveries will cost against budgets, or refuse it.
-- KEYS: per account the sum of what was spent and is held, and the hash of what is held by delivery id.
-- ARGV: how many accounts; how long both are kept in ms; per account its limit; then per claim the delivery id, its price,
-- the accounts that count it, and those of them that may refuse it (places from 0, by commas).
-- Answers per claim: the place of the account that refuses it, or -1. An empty answer: an account is not known.
local accounts, kept = tonumber(ARGV[1]), ARGV[2]
local spent, limits = {}, {}
for i = 1, accounts do
  local sum = redis.call('GET', KEYS[2 * i - 1])
  if not sum then
    return {}
  end
  spent[i], limits[i] = tonumber(sum), tonumber(ARGV[2 + i])
end
local answers, moved = {}, {}
local at = 3 + accounts
while at <= #ARGV do
  local id, price, counted, stopping = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3]
  local refused = -1
  for text in string.gmatch(stopping, '%d+') do
    local i = tonumber(text) + 1
    local held = tonumber(redis.call('HGET', KEYS[2 * i], id) or 0)
    if refused < 0 and spent[i] - held + price > limits[i] then
      refused = i - 1
    end
  end
  if refused < 0 then
    for text in string.gmatch(counted, '%d+') do
      local i = tonumber(text) + 1
      local held = tonumber(redis.call('HGET', KEYS[2 * i], id) or 0)
      redis.call('HSET', KEYS[2 * i], id, price)
      spent[i], moved[i] = spent[i] - held + price, true
    end
  end
  answers[#answers + 1] = refused
  at = at + 4
end
for i in pairs(moved) do
  redis.call('SET', KEYS[2 * i - 1], string.format('%.0f', spent[i]), 'PX', kept)
  redis.call('PEXPIRE', KEYS[2 * i], kept)
end
return answers
