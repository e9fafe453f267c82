-- Take tokens for a portion of one account's messages, by the server's clock, and places of its days.
-- KEYS: the pace (hash), then a counter per daily limit.
-- ARGV: messages, how many of them are urgent, how many stand behind them, the rate that is set a second (0: none); then
-- per daily limit the limit, and in how many ms the day is over, on the caller's clock.
-- Answers: how many were taken, in how many ms they may go, in how many ms the next may come, ms between those behind.
local count, urgent, behind, per_s = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now, pace = now_ms(), read(KEYS[1])
grow(pace, now)
local rate = 0
for _, one in ipairs({per_s, pace.told, pace.rate}) do
  if one > 0 and (rate == 0 or one < rate) then
    rate = one
  end
end
local left, ends_in = UNBOUNDED, 0
for i = 2, #KEYS do
  local rest = tonumber(ARGV[2 * i + 1]) - tonumber(redis.call('GET', KEYS[i]) or 0)
  if rest < left then
    left, ends_in = math.max(rest, 0), tonumber(ARGV[2 * i + 2])
  end
end
local token = rate > 0 and 1000 / rate or 0
local capacity = math.max(BURST, token)
local open = math.max(pace.closed - now, 0)
local full_in = math.min(math.max(pace.full - now, 0), capacity + PATIENCE + AHEAD)
local taken = 0
for i, number in ipairs({urgent, count - urgent}) do
  local room = 0
  if open <= PATIENCE then
    room = UNBOUNDED
    if token > 0 then
      room = math.max(0, math.floor((capacity + PATIENCE + (i == 1 and AHEAD or 0) - full_in) / token + 1e-9))
    end
  end
  local share = math.min(number, room, left - taken)
  full_in = full_in + share * token
  taken = taken + share
  if share < number then
    break
  end
end
local wait = 0
if taken > 0 then
  wait = math.max(full_in - capacity - (taken <= urgent and AHEAD or 0), open, 0)
end
for i = 2, #KEYS do
  if taken > 0 then
    redis.call('INCRBY', KEYS[i], taken)
    redis.call('PEXPIRE', KEYS[i], math.ceil(math.max(tonumber(ARGV[2 * i + 2]), 0)) + BOOK)
  end
end
pace.full = now + full_in
local waiting, next_in, step = count - taken + behind, 0, 0
if waiting > 0 then
  local first = math.max(now + full_in - capacity + token, now + open, pace.booked)
  if taken == left then
    first = math.max(first, now + ends_in)
  end
  first = math.min(first, now + BOOK)
  step = math.max(token, LEAST_STEP)
  pace.booked = math.min(first + waiting * step, now + BOOK)
  next_in = first - now
end
write(KEYS[1], pace, now)
return {taken, string.format('%.3f', wait), string.format('%.3f', next_in), string.format('%.6f', step)}
