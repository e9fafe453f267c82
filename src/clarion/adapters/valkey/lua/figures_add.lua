-- Add to the figures of accounts, whose counts fade, and read them.
-- KEYS: a HASH an account: destination -> MessagePack of {ms of the instant to which it has faded, five counts, {counts by latency}}.
-- ARGV: half-life in ms, most destinations of an account, ms that an account's figures are kept; then per key: MessagePack of a map
-- destination -> tally to add (its instant means nothing: it is now), or nothing.
-- Answers per account: {destination, age in ms, tally, …}, or nothing where nothing is known.
local half_life, most, life = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function faded(tally)
  local left = 0.5 ^ (math.max(now - tally[1], 0) / half_life)
  tally[1] = now
  for place = 2, 6 do
    tally[place] = tally[place] * left
  end
  for place, count in ipairs(tally[7]) do
    tally[7][place] = count * left
  end
  return tally
end

local function add(tally, more)
  for place = 2, 6 do
    tally[place] = tally[place] + more[place]
  end
  for place, count in ipairs(more[7]) do
    tally[7][place] = (tally[7][place] or 0) + count
  end
  return tally
end

-- Whether there is a place for one more destination: one that has faded to less than a message makes it.
local function make_place(key)
  if redis.call('HLEN', key) <= most then
    return true
  end
  local all = redis.call('HGETALL', key)
  for place = 1, #all, 2 do
    local tally = faded(cmsgpack.unpack(all[place + 1]))
    if all[place] ~= '*' and tally[2] + tally[3] + tally[5] + tally[6] < 1 then
      redis.call('HDEL', key, all[place])
      return true
    end
  end
  return false
end

local answers = {}
for i, key in ipairs(KEYS) do
  local news = ARGV[3 + i]
  if news ~= '' then
    for destination, more in pairs(cmsgpack.unpack(news)) do
      local stored = redis.call('HGET', key, destination)
      if stored then
        redis.call('HSET', key, destination, cmsgpack.pack(add(faded(cmsgpack.unpack(stored)), more)))
      elseif destination == '*' or make_place(key) then
        more[1] = now
        redis.call('HSET', key, destination, cmsgpack.pack(more))
      end
    end
    redis.call('PEXPIRE', key, life)
  end
  local all = redis.call('HGETALL', key)
  local answer = {}
  for place = 1, #all, 2 do
    local age = math.max(now - cmsgpack.unpack(all[place + 1])[1], 0)
    answer[#answer + 1] = all[place]
    answer[#answer + 1] = age
    answer[#answer + 1] = all[place + 1]
  end
  answers[i] = answer
end
return answers
