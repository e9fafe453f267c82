-- Remove old entries of streams, but none that a group has yet to be given or to ack.
-- KEYS: streams. ARGV: share of the entries to remove for want of room (0 to 1); then per key the retention in ms.
-- Answers per key: number of entries removed. Whole nodes of a stream go, so a few old entries may stay.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Ids compare as (ms, sequence); both are exact in a double.
local function parse(id)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(sequence)
end

local function older(a, b)
  local a_ms, a_sequence = parse(a)
  local b_ms, b_sequence = parse(b)
  return a_ms < b_ms or (a_ms == b_ms and a_sequence < b_sequence)
end

-- The first id that some group still needs; nil where there is no group.
local function needed(key)
  local first
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = {}
    for i = 1, #info, 2 do
      group[info[i]] = info[i + 1]
    end
    local id
    if group['pending'] > 0 then
      id = redis.call('XPENDING', key, group['name'])[2]
    else
      local ms, sequence = parse(group['last-delivered-id'])
      id = string.format('%.0f-%.0f', ms, sequence + 1)
    end
    if not first or older(id, first) then
      first = id
    end
  end
  return first
end

local answers = {}
for i, key in ipairs(KEYS) do
  local removed = 0
  if redis.call('EXISTS', key) == 1 then
    local excess = math.floor(redis.call('XLEN', key) * tonumber(ARGV[1]))
    local keep = needed(key)
    local cutoff = string.format('%.0f-0', math.max(now - tonumber(ARGV[i + 1]), 0))
    if keep and older(keep, cutoff) then
      cutoff = keep
    end
    removed = redis.call('XTRIM', key, 'MINID', '~', cutoff)
    if excess > removed then
      -- Without a group, everything but what is being written now may go.
      local before = keep or string.format('%.0f-0', now)
      removed = removed + redis.call('XTRIM', key, 'MINID', '~', before, 'LIMIT', excess - removed)
    end
  end
  answers[i] = removed
end
return answers
