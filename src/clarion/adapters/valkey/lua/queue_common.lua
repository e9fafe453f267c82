-- What every queue script shares; `load_script` puts it before each of them.
--
-- KEYS[1] is "queue:{R:C:S}" (region, channel, shard). All other keys are made from its hash tag, so they live in the
-- slot of the one declared key, and the scripts run on a cluster. Entries have 33 bytes: 16 delivery id (UUIDv7),
-- 16 tenant id, 1 priority.
--
--   queue:{..}:P           LIST   what workers take, first in first out
--   backlog:{..}:P:TENANT  LIST   what a tenant has waiting for its turn
--   ring:{..}:P            LIST   tenants with a backlog, in the order of their turns: each once, none without one
--   turn:{..}:P            STRING what the head of the ring may still move in a turn that was cut short
--   backlog:{..}           HASH   priority -> entries in all backlogs of that priority
--   weights:{..}           HASH   tenant -> turns' size, where it is not 1
--   ml_send_queue:{..}     ZSET   due in the future, by due ms
--   inflight:{..}          ZSET   claimed, by the lease's deadline ms
--   credit:{..}            HASH   what classes and priorities were left short by rounding, in hundredths of a place
--   wake:{..}[:urgent]     LIST   one token at most: there is work
--
-- All times are the server's.

local TAG = string.match(KEYS[1], '{.*}')
local SCHEDULED = 'ml_send_queue:' .. TAG
local INFLIGHT = 'inflight:' .. TAG
local BACKLOG_SIZES = 'backlog:' .. TAG
local WEIGHTS = 'weights:' .. TAG
local CREDIT = 'credit:' .. TAG
local WAKE = 'wake:' .. TAG

local URGENT, LOWEST = 2, 10
local CHUNK = 4000  -- values a call: unpack() fails from about 8 000 on
local QUEUE_TARGET = 500  -- feeding stops here: what stands before a newcomer, whoever it belongs to
local QUANTUM = 10  -- entries that a tenant of weight 1 moves in a turn
local HERD = 10000  -- scheduled for one second: what comes later is spread
local HERD_SPREAD_MS = 60000
local HEX = string.rep('%02x', 16)

local woken = {any = false, urgent = false}

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function queue_key(priority) return 'queue:' .. TAG .. ':' .. priority end
local function ring_key(priority) return 'ring:' .. TAG .. ':' .. priority end
local function turn_key(priority) return 'turn:' .. TAG .. ':' .. priority end
local function backlog_key(priority, tenant) return 'backlog:' .. TAG .. ':' .. priority .. ':' .. tenant end

-- Push entries[first..last] with LPUSH or RPUSH; the list's new length.
local function push(command, key, entries, first, last)
  local length = 0
  for i = first, last, CHUNK do
    length = redis.call(command, key, unpack(entries, i, math.min(i + CHUNK - 1, last)))
  end
  return length
end

local function note_work(priority)
  woken.any = true
  if priority <= URGENT then woken.urgent = true end
end

-- Leave a token for whoever waits, or comes to wait. One is enough: a claim that leaves work behind passes it on.
local function wake()
  if woken.any and redis.call('EXISTS', WAKE) == 0 then redis.call('RPUSH', WAKE, 1) end
  local urgent = WAKE .. ':urgent'
  if woken.urgent and redis.call('EXISTS', urgent) == 0 then redis.call('RPUSH', urgent, 1) end
end

-- Append a tenant's entries of one priority to its backlog; a tenant without one joins the ring.
local function spill(owner, entries)
  local priority = string.byte(owner, 17)
  local tenant = string.format(HEX, string.byte(owner, 1, 16))
  local length = push('RPUSH', backlog_key(priority, tenant), entries, 1, #entries)
  if length == #entries then redis.call('RPUSH', ring_key(priority), tenant) end
  redis.call('HINCRBY', BACKLOG_SIZES, priority, #entries)
end

-- What a priority's queue takes directly: nothing while anybody has a backlog there, else as much as it has room for.
local function open_line(priority)
  local room = 0
  if redis.call('EXISTS', ring_key(priority)) == 0 then
    room = QUEUE_TARGET - redis.call('LLEN', queue_key(priority))
  end
  note_work(priority)
  return {room = room, entries = {}}
end

-- Put entries that are due in line or, where there is no room, into backlogs: in their order within each tenant and
-- priority, because a line that has become full stays full.
local function place(entries)
  local lines, backlogs, owners = {}, {}, {}
  for _, entry in ipairs(entries) do
    local priority = string.byte(entry, 33)
    local line = lines[priority] or open_line(priority)
    lines[priority] = line
    if #line.entries < line.room then
      line.entries[#line.entries + 1] = entry
    else
      local owner = string.sub(entry, 17, 33)
      local backlog = backlogs[owner] or {}
      if #backlog == 0 then owners[#owners + 1] = owner end
      backlogs[owner] = backlog
      backlog[#backlog + 1] = entry
    end
  end
  for priority, line in pairs(lines) do push('RPUSH', queue_key(priority), line.entries, 1, #line.entries) end
  for _, owner in ipairs(owners) do spill(owner, backlogs[owner]) end
end

-- Move backlog into the queue of a priority until it holds `target`, by deficit round robin: each tenant in turn moves
-- QUANTUM times its weight; a turn that the target cuts short goes on next time. The queue's new length.
local function feed(priority, target)
  local queue, ring = queue_key(priority), ring_key(priority)
  local length = redis.call('LLEN', queue)
  if length >= target or redis.call('EXISTS', ring) == 0 then return length end
  local rest_of_turn = tonumber(redis.call('GET', turn_key(priority)) or 0)
  local moved, room = {}, target - length
  while room > 0 do
    local tenant = redis.call('LPOP', ring)
    if not tenant then break end
    local backlog = backlog_key(priority, tenant)
    local turn = rest_of_turn
    if turn <= 0 then turn = QUANTUM * tonumber(redis.call('HGET', WEIGHTS, tenant) or 1) end
    rest_of_turn = 0
    if redis.call('EXISTS', ring) == 0 then turn = math.max(turn, room) end  -- nobody else waits
    local batch = redis.call('LPOP', backlog, math.min(turn, room)) or {}
    for _, entry in ipairs(batch) do moved[#moved + 1] = entry end
    room = room - #batch
    if redis.call('EXISTS', backlog) == 1 then
      if #batch < turn then
        rest_of_turn = turn - #batch
        redis.call('LPUSH', ring, tenant)
      else
        redis.call('RPUSH', ring, tenant)
      end
    end
  end
  if rest_of_turn > 0 then
    redis.call('SET', turn_key(priority), rest_of_turn)
  else
    redis.call('DEL', turn_key(priority))
  end
  if #moved > 0 then
    redis.call('HINCRBY', BACKLOG_SIZES, priority, -#moved)
    push('RPUSH', queue, moved, 1, #moved)
  end
  return length + #moved
end
