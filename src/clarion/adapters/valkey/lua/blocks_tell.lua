-- Count text messages by block of numbers, and stop the blocks of one tenant that are flooded.
-- KEYS: counts of this hour, of this day, of the day before, and until when blocks are stopped (all hashes by prefix).
-- ARGV: now, how long a stop lasts, how long counts are kept (all in ms); floor and factor; then prefixes and counts.
-- Answers three values per stopped block: the prefix, until when, and 1 where this call has stopped it.
local now, stopped_ms, kept = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local floor, factor = tonumber(ARGV[4]), tonumber(ARGV[5])
local fresh = {}
for at = 6, #ARGV, 2 do
  local prefix, count = ARGV[at], tonumber(ARGV[at + 1])
  local this_hour = redis.call('HINCRBY', KEYS[1], prefix, count)
  redis.call('HINCRBY', KEYS[2], prefix, count)
  if floor >= 0 and this_hour > floor then
    local before = tonumber(redis.call('HGET', KEYS[3], prefix) or 0)
    if this_hour > factor * before / 24 then
      local known = tonumber(redis.call('HGET', KEYS[4], prefix) or 0)
      redis.call('HSET', KEYS[4], prefix, string.format('%.0f', now + stopped_ms))
      fresh[prefix] = known <= now
    end
  end
end
if #ARGV >= 6 then
  redis.call('PEXPIRE', KEYS[1], kept)
  redis.call('PEXPIRE', KEYS[2], kept)
end
local answers = {}
local stops = redis.call('HGETALL', KEYS[4])
for i = 1, #stops, 2 do
  if tonumber(stops[i + 1]) > now then
    answers[#answers + 1] = stops[i]
    answers[#answers + 1] = stops[i + 1]
    answers[#answers + 1] = fresh[stops[i]] and 1 or 0
  else
    redis.call('HDEL', KEYS[4], stops[i])
  end
end
return answers
