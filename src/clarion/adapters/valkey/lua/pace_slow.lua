-- Slow one account's pace, because its vendor throttled or named a limit.
-- KEYS: the pace (hash). ARGV: messages sent, messages throttled, messages that got through a second, for how many ms it
-- takes nothing (0: it does), the rate that it named (0: none).
local sent, throttled, seen = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local closed, told = tonumber(ARGV[4]), tonumber(ARGV[5])
local now, pace = now_ms(), read(KEYS[1])
grow(pace, now)
if closed > 0 then
  pace.closed = math.max(pace.closed, now + closed)
end
if told > 0 then
  pace.told = told
end
if throttled > 0 and now - pace.slowed >= SETTLE then
  local before = pace.rate > 0 and pace.rate or math.max(seen, SLOWEST)
  local step = STEP_BACK
  if pace.rate > 0 then
    step = math.max(DEEPEST, math.min(STEP_BACK, 1 - throttled / (throttled + sent)))
  end
  pace.rate, pace.ceiling = math.max(before * step, SLOWEST), before
  pace.grown, pace.slowed, pace.booked = now, now, 0
end
write(KEYS[1], pace, now)
return 0
