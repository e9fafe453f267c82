-- Fill every queue from its backlogs; how many entries moved.

local moved = 0
for priority = 0, LOWEST do
  local before = redis.call('LLEN', queue_key(priority))
  local fed = feed(priority, QUEUE_TARGET) - before
  if fed > 0 then note_work(priority) end
  moved = moved + fed
end
wake()
return moved
