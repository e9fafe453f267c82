-- The pace of an account, as `delivery/pace.py` has it: every constant and step here is there, with its reason.
local BURST, PATIENCE, AHEAD, BOOK = 100, 250, 500, 3600000
local SLOWEST, STEP_BACK, DEEPEST, SETTLE = 0.2, 0.85, 0.3, 1000
local NEAR, RECOVER, CREEP, PATIENT, STRIDE = 0.95, 0.1, 0.001, 20, 2
local LEAST_STEP, UNBOUNDED = 1, 1099511627776
local FIELDS = {'full', 'booked', 'rate', 'ceiling', 'grown', 'slowed', 'closed', 'told'}

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000
end

local function read(key)
  local values, pace = redis.call('HMGET', key, unpack(FIELDS)), {}
  for i, field in ipairs(FIELDS) do
    pace[field] = tonumber(values[i] or 0)
  end
  return pace
end

local function write(key, pace, now)
  local values = {}
  for i, field in ipairs(FIELDS) do
    values[2 * i - 1], values[2 * i] = field, string.format('%.17g', pace[field])
  end
  redis.call('HSET', key, unpack(values))
  redis.call('PEXPIRE', key, math.ceil(2 * BOOK + math.max(pace.closed - now, 0)))
end

local function grow(pace, now)
  if pace.rate == 0 then
    return
  end
  local seconds = math.min(math.max((now - pace.grown) / 1000, 0), STRIDE)
  local quiet = math.max(now - pace.slowed, 0) / 1000
  if pace.rate < NEAR * pace.ceiling then
    pace.rate = math.min(pace.rate + RECOVER * pace.ceiling * seconds, NEAR * pace.ceiling)
  else
    pace.rate = pace.rate + CREEP * pace.ceiling * math.max(1, (quiet / PATIENT) ^ 2) * seconds
  end
  pace.grown = now
end
