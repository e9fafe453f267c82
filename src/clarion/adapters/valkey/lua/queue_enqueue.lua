-- Queue entries: those due into the queue or their tenant's backlog, the others into the schedule.
--
-- ARGV[1]: records of 41 bytes, a big-endian double (due ms, 0: now) before each entry.
-- ARGV[2]: '1' to give up the entries' leases first.

local function release(entries)
  for i = 1, #entries, CHUNK do
    redis.call('ZREM', INFLIGHT, unpack(entries, i, math.min(i + CHUNK - 1, #entries)))
  end
end

-- When a herd is scheduled for one second, its late comers spread over the minute behind it, each to the place its
-- random id bits give; urgent ones keep their time.
local function spread(due, entry, herds)
  local second = math.floor(due / 1000) * 1000
  herds[second] = (herds[second] or redis.call('ZCOUNT', SCHEDULED, second, second + 999)) + 1
  if herds[second] <= HERD or string.byte(entry, 33) <= URGENT then return due end
  local high, middle, low = string.byte(entry, 12, 14)
  return due + (high * 65536 + middle * 256 + low) % HERD_SPREAD_MS
end

local function schedule(entries, dues)
  local herds, flat = {}, {}
  local may_be_herd = redis.call('ZCARD', SCHEDULED) + #entries > HERD
  for i, entry in ipairs(entries) do
    flat[2 * i - 1] = may_be_herd and spread(dues[i], entry, herds) or dues[i]
    flat[2 * i] = entry
  end
  for i = 1, #flat, CHUNK do
    redis.call('ZADD', SCHEDULED, unpack(flat, i, math.min(i + CHUNK - 1, #flat)))
  end
end

local RECORD = 41
local now = now_ms()
local all, due, later, dues = {}, {}, {}, {}
for i = 1, #ARGV[1], RECORD do
  local at = struct.unpack('>d', string.sub(ARGV[1], i, i + 7))
  local entry = string.sub(ARGV[1], i + 8, i + RECORD - 1)
  all[#all + 1] = entry
  if at <= now then
    due[#due + 1] = entry
  else
    later[#later + 1] = entry
    dues[#dues + 1] = at
  end
end
if ARGV[2] == '1' then release(all) end
place(due)
schedule(later, dues)
wake()
return #due
