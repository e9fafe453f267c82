-- Take up to ARGV[1] entries and lease them for ARGV[2] ms; ARGV[3] = '1': of priorities 0 to 2 only.
--
-- Urgent entries go first, strictly by priority. The classes below share what is left 80 : 15 : 5; what one cannot use
-- flows down, then up. Each class with work gets 5 % of every claim, whatever is above it: nobody starves. Within a
-- class the priorities share alike. Rounding is settled over time by `credit`, so claims of one are fair as well.

local CLASSES = {
  {name = 'high', weight = 80, priorities = {3, 4}, weights = {60, 40}},
  {name = 'middle', weight = 15, priorities = {5, 6, 7}, weights = {50, 30, 20}},
  {name = 'low', weight = 5, priorities = {8, 9, 10}, weights = {50, 30, 20}},
}
local FLOOR = 5  -- percent
local SMALL = 20  -- below this a claim has no whole place to reserve, and credit decides whose turn it is

local limit, lease_ms, urgent_only = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local last = urgent_only and URGENT or LOWEST

local waiting, take = {}, {}
for priority = 0, last do
  waiting[priority] = feed(priority, limit)
  take[priority] = 0
end

local function take_urgent(places)
  local taken = 0
  for priority = 0, URGENT do
    take[priority] = math.min(waiting[priority], places - taken)
    taken = taken + take[priority]
  end
  return taken
end

-- Divide places among slots {weight, available, floor, credit}: sets `take` and the new `credit`.
local function apportion(places, slots)
  local reserved, left, carried = 0, places, 0
  for _, slot in ipairs(slots) do reserved = reserved + slot.floor end
  for _, slot in ipairs(slots) do
    reserved = reserved - slot.floor
    slot.credit = slot.credit + math.max(slot.gain, slot.weight * places)
    local share = math.max(slot.floor, math.floor(slot.credit / 100) + carried)
    slot.take = math.max(0, math.min(share, slot.available, left - reserved))
    carried = math.max(0, share - slot.take)
    left = left - slot.take
  end
  for _, slot in ipairs(slots) do
    local more = math.min(slot.available - slot.take, left)
    slot.take = slot.take + more
    left = left - more
    slot.credit = math.max(0, math.min(slot.credit - 100 * slot.take, 100))
    if slot.take == slot.available then slot.credit = 0 end  -- who has got all is owed nothing
  end
end

-- Places kept for each class below the urgent ones, the lowest first; their sum.
local function set_floors(slots, places)
  local sum = 0
  for i = #slots, 1, -1 do
    local slot = slots[i]
    slot.gain = FLOOR * places
    local floor = math.ceil(slot.gain / 100)
    if places < SMALL then floor = math.floor((slot.credit + slot.gain) / 100) end
    slot.floor = math.min(floor, slot.available, places - sum)
    sum = sum + slot.floor
  end
  return sum
end

local function share_within(class, places, credit)
  local slots = {}
  for i, priority in ipairs(class.priorities) do
    slots[i] = {
      name = priority, weight = class.weights[i], available = waiting[priority],
      floor = 0, gain = 0, credit = tonumber(credit[tostring(priority)] or 0),
    }
  end
  apportion(places, slots)
  for _, slot in ipairs(slots) do take[slot.name] = slot.take end
  return slots
end

local function read_credit()
  local flat, credit = redis.call('HGETALL', CREDIT), {}
  for i = 1, #flat, 2 do credit[flat[i]] = flat[i + 1] end
  return credit
end

-- Fill `take`; the new credits as a list for HSET (nil: they stay).
local function plan()
  if urgent_only then
    take_urgent(limit)
    return
  end
  local credit, slots, some = read_credit(), {}, false
  for i, class in ipairs(CLASSES) do
    local available = 0
    for _, priority in ipairs(class.priorities) do available = available + waiting[priority] end
    slots[i] = {
      name = class.name, weight = class.weight, available = available, credit = tonumber(credit[class.name] or 0),
    }
    some = some or available > 0
  end
  local urgent = take_urgent(limit - set_floors(slots, limit))
  if not some then return nil end
  apportion(limit - urgent, slots)
  local fields = {}
  for i, slot in ipairs(slots) do
    fields[#fields + 1] = slot.name
    fields[#fields + 1] = slot.credit
    for _, inner in ipairs(share_within(CLASSES[i], slot.take, credit)) do
      fields[#fields + 1] = inner.name
      fields[#fields + 1] = inner.credit
    end
  end
  return fields
end

local function pop()
  local entries = {}
  for priority = 0, last do
    if take[priority] > 0 then
      for _, entry in ipairs(redis.call('LPOP', queue_key(priority), take[priority])) do
        entries[#entries + 1] = entry
      end
      local more = waiting[priority] > take[priority] or redis.call('EXISTS', ring_key(priority)) == 1
      if more then note_work(priority) end
    elseif waiting[priority] > 0 then
      note_work(priority)
    end
  end
  return entries
end

-- Lease entries that nobody holds. An entry that is queued twice (the sweeper was too careful) and already leased is
-- dropped here: if its holder dies, the reaper brings it back. Holders are asked for first: by the deadline they cannot
-- be told apart, because two claims of one millisecond share it.
local function lease(entries, deadline)
  local ours, seen = {}, {}
  for i = 1, #entries, CHUNK / 2 do
    local last_of_chunk = math.min(i + CHUNK / 2 - 1, #entries)
    local held = redis.call('ZMSCORE', INFLIGHT, unpack(entries, i, last_of_chunk))
    local flat = {}
    for j = i, last_of_chunk do
      local entry = entries[j]
      if not held[j - i + 1] and not seen[entry] then
        ours[#ours + 1] = entry
        flat[#flat + 1] = deadline
        flat[#flat + 1] = entry
      end
      seen[entry] = true
    end
    if #flat > 0 then redis.call('ZADD', INFLIGHT, unpack(flat)) end
  end
  return ours
end

local credits = plan()
-- A full server refuses a script whose first write needs memory, but not one that begins by taking something out.
local claimed = lease(pop(), now_ms() + lease_ms)
if credits then redis.call('HSET', CREDIT, unpack(credits)) end
if urgent_only then woken.any = false end
wake()
return claimed
