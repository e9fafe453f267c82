-- Bring up to ARGV[1] entries whose lease has ended back to the heads of their queues, the oldest first; how many.

local ended = math.min(tonumber(ARGV[1]), redis.call('ZCOUNT', INFLIGHT, '-inf', now_ms()))
if ended == 0 then return 0 end
local popped, groups = redis.call('ZPOPMIN', INFLIGHT, ended), {}
for i = #popped - 1, 1, -2 do  -- backwards: LPUSH turns the order round
  local priority = string.byte(popped[i], 33)
  groups[priority] = groups[priority] or {}
  table.insert(groups[priority], popped[i])
end
for priority, entries in pairs(groups) do
  push('LPUSH', queue_key(priority), entries, 1, #entries)
  note_work(priority)
end
wake()
return ended
