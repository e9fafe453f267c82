-- Move breakers by what one worker saw of them. The same rules as `delivery.circuit.settle`; conformance tests compare.
-- KEYS: the breakers, HASHes that are absent while closed without a failure.
-- ARGV: failures to open, ms between probes, ms between probes with refused credentials, first allowance, full pace, ms that a closed
-- breaker's failures are remembered, ms that another's state is; then per key: healthy, failures, refused (0 or 1), wanted, version,
-- joined by commas.
-- Answers per breaker: {state, failures, since_ms, allowance, admitted, succeeded, reason, entered_ms, version, permits}.
local FIELDS = {'state', 'failures', 'since_ms', 'allowance', 'admitted', 'succeeded', 'reason', 'entered_ms', 'version'}
local to_open, interval, refused_interval = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local first, full_pace = tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function closed()
  return {state = 'closed', failures = 0, since_ms = 0, allowance = 0, admitted = 0, succeeded = 0, reason = '', entered_ms = 0, version = 0}
end

local function open(c, failures)
  return {
    state = 'open', failures = failures, since_ms = math.max(now, c.since_ms), allowance = 0, admitted = 0, succeeded = 0,
    reason = c.reason ~= '' and c.reason or 'failures', entered_ms = c.state == 'open' and c.entered_ms or now, version = c.version,
  }
end

local function seen(c, healthy, failures, refused, version)
  if refused == 1 then
    c.reason = 'credentials'
    local after = open(c, c.failures + 1)
    after.version = version
    return after
  end
  if failures == 0 then
    if healthy == 0 then
      return c
    elseif c.state == 'closed' then
      return closed()
    elseif c.state == 'open' then
      local after = closed()
      after.state, after.since_ms, after.allowance, after.entered_ms = 'half_open', now, first, now
      return after
    end
    c.failures, c.succeeded = 0, c.succeeded + healthy
    return c
  end
  if healthy == 0 then
    failures = failures + c.failures
  end
  local tolerated = c.allowance > 0 and math.min(to_open, c.allowance) or to_open
  if c.state == 'open' or failures >= tolerated then
    return open(c, failures)
  end
  c.failures = failures
  return c
end

local function in_this_second(c)
  if now - c.since_ms < interval then
    return c
  end
  local allowance = c.succeeded > 0 and c.allowance * 2 or c.allowance
  if allowance > full_pace then
    return closed()
  end
  c.since_ms, c.allowance, c.admitted, c.succeeded = now, allowance, 0, 0
  return c
end

local answers = {}
for i, key in ipairs(KEYS) do
  local c = closed()
  local stored = redis.call('HMGET', key, unpack(FIELDS))
  local was_stored = stored[1] ~= false
  if was_stored then
    for place, field in ipairs(FIELDS) do
      local value = stored[place]
      c[field] = (field == 'state' or field == 'reason') and value or tonumber(value)
    end
  end
  local numbers = {}
  for text in string.gmatch(ARGV[7 + i], '%d+') do
    numbers[#numbers + 1] = tonumber(text)
  end
  local healthy, failures, refused, wanted, version = unpack(numbers)
  if c.reason == 'credentials' and version > c.version then
    c = closed()
  end
  if version >= c.version then
    c = seen(c, healthy, failures, refused, version)
  end
  local permits = 0
  if c.state == 'open' then
    local pause = c.reason == 'credentials' and refused_interval or interval
    if wanted > 0 and now - c.since_ms >= pause then
      c.since_ms, permits = now, 1
    end
  elseif c.state == 'half_open' then
    c = in_this_second(c)
    if c.state == 'half_open' then
      permits = math.min(wanted, c.allowance - c.admitted)
      c.admitted = c.admitted + permits
    end
  end
  if c.state == 'closed' and c.failures == 0 then
    if was_stored then
      redis.call('DEL', key)
    end
  else
    local pairs_ = {}
    for _, field in ipairs(FIELDS) do
      pairs_[#pairs_ + 1] = field
      pairs_[#pairs_ + 1] = type(c[field]) == 'number' and string.format('%.0f', c[field]) or c[field]
    end
    redis.call('HSET', key, unpack(pairs_))
    redis.call('PEXPIRE', key, c.state == 'closed' and ARGV[6] or ARGV[7])
  end
  local answer = {}
  for place, field in ipairs(FIELDS) do
    answer[place] = c[field]
  end
  answer[#answer + 1] = permits
  answers[i] = answer
end
return answers
